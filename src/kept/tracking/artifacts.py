"""Operations on the files of runs and logged models: written, read, listed and deleted as streams.

A door that gets a file begins it, writes piece after piece and ends it; the file and the record of it are then durable:

    with begin_artifact(workspace, actor, "1/9f…/artifacts/model.onnx") as upload:
        upload.write(piece)
        end_artifact(workspace, actor, "1/9f…/artifacts/model.onnx", upload)
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from kept.core.errors import Invalid
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.tracking.artifact_files import ArtifactFiles, FileEntry, Upload, checked
from kept.tracking.records.artifacts import artifact_record, forget_artifacts, put_artifact

_RECORD = "artifacts.record"


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a run or a logged model. Its fields are the columns of the table `artifacts`."""

    path: str
    size: int
    digest: str
    at: datetime


class RecordArtifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that was written."""

    path: str
    size: int
    digest: str


class ShowArtifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file."""

    path: str


class ListArtifacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is directly in a folder; '' is the folder of all."""

    path: str = ""


class DeleteArtifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file, or a folder with all that is in it, to delete, and why."""

    path: str
    reason: str = ""


def files_of(workspace: Workspace) -> ArtifactFiles:
    """The files of the workspace's runs and logged models."""
    return ArtifactFiles(workspace.root / "artifacts", most_waiting=workspace.settings.upload_megabytes << 20)


def begin_artifact(workspace: Workspace, actor: Actor, path: str) -> Upload:
    """A file that the actor is about to write; `Forbidden` when they may not."""
    actor.require(Permission.CONTRIBUTE, _RECORD)
    return files_of(workspace).begin(path)


def end_artifact(workspace: Workspace, actor: Actor, path: str, upload: Upload) -> Artifact:
    """Keeps a file that was written to its end."""
    digest = upload.keep()
    return record_artifact(workspace, actor, RecordArtifact(path=path, size=upload.size, digest=digest))


def begin_parts(workspace: Workspace, actor: Actor, path: str) -> str:
    """Opens an upload in parts of a file; the key under which the parts are kept. `Forbidden` when the actor may not."""
    actor.require(Permission.CONTRIBUTE, _RECORD)
    return files_of(workspace).begin_parts(path)


def begin_part(workspace: Workspace, actor: Actor, key: str, number: int) -> Upload:
    """A part that the actor is about to write, in the place of an earlier one of the same number."""
    actor.require(Permission.CONTRIBUTE, _RECORD)
    return files_of(workspace).begin_part(key, number)


def end_part(workspace: Workspace, key: str, number: int, upload: Upload) -> str:
    """Keeps a part that was written to its end; gives the tag by which `end_parts` knows it again."""
    upload.keep()
    return files_of(workspace).tag_of_part(key, number)


def end_parts(workspace: Workspace, actor: Actor, path: str, key: str, tags: Mapping[int, str]) -> Artifact:
    """Joins parts in the order of their numbers to the file.

    Raises:
        Invalid: a part was not written, or it is not the one whose tag is given.
    """
    actor.require(Permission.CONTRIBUTE, _RECORD)
    files = files_of(workspace)
    for number, tag in tags.items():
        if files.tag_of_part(key, number) != tag:
            raise Invalid(f"part {number} is not the one that was sent", where=path, fix="Send it again")
    with files.join_parts(path, key, sorted(tags)) as upload:
        kept = end_artifact(workspace, actor, path, upload)
    files.drop_parts(key)
    return kept


def drop_parts(workspace: Workspace, actor: Actor, key: str) -> None:
    """Ends an upload in parts and removes what was written of it; `NotFound` when there is none."""
    actor.require(Permission.CONTRIBUTE, _RECORD)
    files_of(workspace).drop_parts(key)


def open_artifact(workspace: Workspace, actor: Actor, path: str) -> Path:
    """Where the file is, to be read in pieces; `NotFound` when there is none, `Forbidden` when they may not."""
    actor.require(Permission.VIEW, "artifacts.show")
    return files_of(workspace).locate(path)


@operation(_RECORD, needs=Permission.CONTRIBUTE, on="path", audit=Audit.COUNTED, remote=False, grouped=True)
def record_artifact(workspace: Workspace, actor: Actor, request: RecordArtifact) -> Artifact:
    """Notes size and digest of a file that is in its place."""
    del actor
    checked(request.path)
    artifact = Artifact(path=request.path, size=request.size, digest=request.digest, at=workspace.clock.now())
    with workspace.database.writing() as connection:
        put_artifact(connection, artifact)
    return artifact


@operation("artifacts.show", needs=Permission.VIEW, on="path", audit=Audit.READ)
def show_artifact(workspace: Workspace, actor: Actor, request: ShowArtifact) -> Artifact | None:
    """Size and digest of a file as they were noted when it was written; None when that was not through the server."""
    del actor
    with workspace.database.reading() as connection:
        row = artifact_record(connection, request.path)
    return None if row is None else msgspec.convert(row, Artifact)


@operation("artifacts.list", needs=Permission.VIEW, on="path", audit=Audit.READ)
def list_artifacts(workspace: Workspace, actor: Actor, request: ListArtifacts) -> list[FileEntry]:
    """What is directly in a folder, by name; nothing when there is no such folder."""
    del actor
    return files_of(workspace).list(request.path)


@operation("artifacts.delete", needs=Permission.CONTRIBUTE, on="path")
def delete_artifact(workspace: Workspace, actor: Actor, request: DeleteArtifact) -> None:
    """Removes a file, or a folder with all that is in it. It can not be brought back."""
    del actor
    checked(request.path)
    with workspace.database.writing() as connection:
        forget_artifacts(connection, request.path)
        files_of(workspace).delete(request.path)
