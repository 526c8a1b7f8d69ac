"""MLflow's files of judged versions: made from the bundle when they are first requested.

They can be made again at any time: nothing is lost when their folder is removed.
"""

import tempfile
from pathlib import Path

from kept.core.errors import NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.workspace import Workspace
from kept.packaging.bundle import fetch_bundle
from kept.packaging.model_folder import FORMAT, FolderFacts, write_model_folder
from kept.registry.records.versions import version_by_id
from kept.tracking.artifact_files import ArtifactFiles, FileEntry


def list_version_files(workspace: Workspace, actor: Actor, path: str) -> list[FileEntry]:
    """What is directly in a folder of a judged version; a path is the version's id, then names within."""
    return _files(workspace, actor, path).list(path)


def open_version_file(workspace: Workspace, actor: Actor, path: str) -> Path:
    """Where a file of a judged version is, to be read in pieces; `NotFound` when there is none."""
    return _files(workspace, actor, path).locate(path)


def _files(workspace: Workspace, actor: Actor, path: str) -> ArtifactFiles:
    """The files of judged versions, with those of the one that the path names."""
    actor.require(Permission.VIEW, "registry.show")
    root = workspace.root / "exports" / str(FORMAT)
    files, version_id = ArtifactFiles(root), path.partition("/")[0]
    if version_id and not files.list(version_id):
        _make(workspace, version_id, root / "files" / version_id)
    return files


def _make(workspace: Workspace, version_id: str, to: Path) -> None:
    with workspace.database.reading() as connection:
        version = version_by_id(connection, version_id)
    if version is None:
        raise NotFound(
            f"there is no judged version {version_id!r}", where="registry", fix="List them: kept models list"
        )
    facts = FolderFacts(
        id=version.id,
        model=version.model,
        number=version.number,
        run_id=version.run_id,
        created_at=version.created_at,
    )
    with tempfile.TemporaryDirectory() as scratch:
        bundle = fetch_bundle(version.bundle, workspace.blobs, Path(scratch) / "bundle")
        write_model_folder(bundle, to, facts)
