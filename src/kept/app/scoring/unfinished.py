"""Scorings under way: each is a locked file, so that a scoring whose process died is found and reported."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from kept.governance.workspace import Workspace
from kept.registry.lineage_telling import Due, has_ended, note
from kept.registry.openlineage import Work
from kept.store.process_lock import alone


class _UnderWay(msgspec.Struct, frozen=True, kw_only=True):
    began: datetime
    work: Work


@contextmanager
def under_way(workspace: Workspace, work: Work) -> Iterator[datetime]:
    """Work that is under way while the block runs; gives when it began."""
    began = workspace.clock.now()
    folder = _folder(workspace)
    folder.mkdir(exist_ok=True)
    # It is locked and whole before it gets its name, so that nobody takes it for a dead process's.
    fresh, path = folder / f"{work.id}.new", folder / f"{work.id}.json"
    with alone(fresh):
        try:
            fresh.write_bytes(msgspec.json.encode(_UnderWay(began=began, work=work)))
            fresh.rename(path)
            yield began
        finally:
            for left in (fresh, path):
                left.unlink(missing_ok=True)


def note_killed(workspace: Workspace) -> int:
    """Notes the end of work whose process is gone without having told it; gives the number of events."""
    return sum(_note_killed(workspace, path) for path in _folder(workspace).glob("*.json"))


def _note_killed(workspace: Workspace, path: Path) -> int:
    with alone(path) as gone:
        if not gone:
            return 0
        found = _read(path)
        noted = 0
        if found is not None and not has_ended(workspace, found.work.id):
            work = msgspec.structs.replace(found.work, error="its process was killed")
            began = Due(work.id, "START", found.began, lambda: work)
            noted = note(workspace, [began, Due(work.id, "ABORT", workspace.clock.now(), lambda: work)])
        path.unlink(missing_ok=True)
        return noted


def _read(path: Path) -> _UnderWay | None:
    """What is told of work; None where it is over already, or where a machine that lost its power kept nothing whole."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_UnderWay)
    except (FileNotFoundError, msgspec.DecodeError):
        # Who looked at the same time may have taken the file away, and a lock makes an empty one of that name.
        return None


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "scoring"
