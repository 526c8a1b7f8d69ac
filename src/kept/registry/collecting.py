"""Garbage collection of deleted runs, with their points and files, once nothing refers to them."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection, RowMapping

from kept.core.durations import duration
from kept.core.errors import Invalid, NotFound
from kept.core.listing import list_limit
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.pipelines.records import drop_steps
from kept.registry.records.using import version_made_of
from kept.tracking.artifacts import files_of
from kept.tracking.records.artifacts import forget_artifacts
from kept.tracking.records.removing import count_points, deleted_rows, parents_in_use, remove_run, sizes_below
from kept.tracking.records.runs import run_rows

_SCHEME = "mlflow-artifacts"
_MOST_AT_ONCE = 50


class FindGarbage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs that were deleted longer ago than this, as `30d`."""

    older_than: str = "30d"
    limit: int = 1_000


class CollectRuns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Deleted runs to remove for good, at most 50 at a time, and why; each must have been deleted longer ago than this."""

    runs: list[str]
    older_than: str = "30d"
    reason: str = ""


class Garbage(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted run and what it takes up; `held` says why it can not go, '' when it can."""

    run: str
    name: str
    experiment: str
    deleted_at: datetime
    points: int
    files: int
    bytes: int
    held: str = ""


@operation("runs.garbage", needs=Permission.VIEW, audit=Audit.READ)
def find_garbage(workspace: Workspace, actor: Actor, request: FindGarbage) -> list[Garbage]:
    """Deleted runs that `runs.gc` would remove, and those that it would not, with the reason."""
    del actor
    limit = list_limit(request.limit, where="runs")
    before = workspace.clock.now() - duration(request.older_than, where="older_than")
    with workspace.database.reading() as connection:
        return list(_told(connection, deleted_rows(connection, before, limit)))


@operation("runs.gc", needs=Permission.ADMINISTER)
def collect_runs(workspace: Workspace, actor: Actor, request: CollectRuns) -> list[Garbage]:
    """Removes deleted runs for good: what was logged to them and their files on this server. It can not be undone.

    What cannot go is left, and is told with the reason. Logged models of the runs stay, and so do the blobs of code and
    environments, which other runs may share.
    """
    del actor
    if len(request.runs) > _MOST_AT_ONCE:
        raise Invalid(f"{len(request.runs)} runs", where="runs", fix=f"Remove at most {_MOST_AT_ONCE} at a time")
    before = workspace.clock.now() - duration(request.older_than, where="older_than")
    with workspace.database.writing() as connection:
        rows = run_rows(connection, request.runs)
        if missing := sorted(set(request.runs) - {row["id"] for row in rows}):
            raise NotFound(f"there is no run {missing[0]}", where="runs", fix="See `kept runs gc`")
        for row in rows:
            if row["deleted_at"] is None or row["deleted_at"] >= before:
                what = f"the run {row['id']} was not deleted longer ago than {request.older_than}"
                raise Invalid(what, where="runs", fix="Delete it first, or wait")
        told = list(_told(connection, rows))
        held = {one.run for one in told if one.held}
        for row in rows:
            if row["id"] not in held:
                _remove(workspace, connection, row)
    return told


def _told(connection: Connection, rows: Sequence[RowMapping]) -> Iterator[Garbage]:
    parents = parents_in_use(connection, [row["id"] for row in rows])
    for row in rows:
        made = version_made_of(connection, row["id"], row["artifact_location"])
        held = f"{made} was made of it" if made else "a run that is a part of it is not deleted"
        files, size = sizes_below(connection, path) if (path := _folder(row)) else (0, 0)
        yield Garbage(
            run=row["id"],
            name=row["name"],
            experiment=str(row["experiment"]),
            deleted_at=row["deleted_at"],
            points=count_points(connection, row["number"]),
            files=files,
            bytes=size,
            held=held if made or row["id"] in parents else "",
        )


def _remove(workspace: Workspace, connection: Connection, row: RowMapping) -> None:
    folder = _folder(row)
    drop_steps(connection, row["id"], keep=())
    remove_run(connection, row["number"])
    if folder:
        forget_artifacts(connection, folder)
        # Before the commit: should it fail, the run is still there, deleted, and this is done again.
        with suppress(NotFound):
            files_of(workspace).delete(folder)


def _folder(row: RowMapping) -> str:
    """The folder of the run among the workspace's files; '' where its files stand elsewhere."""
    parts = urlsplit(row["artifact_location"])
    return parts.path.strip("/").removesuffix("/artifacts") if parts.scheme == _SCHEME else ""
