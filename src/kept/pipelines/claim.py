"""The lock by which one process at a time runs a workspace's pipelines."""

import fcntl
import threading
from pathlib import Path
from typing import IO

from kept.core.errors import Conflict

# DBOS keeps one instance in a process and would hand it to a second engine, database and all.
_only = threading.Lock()


class Claim:
    """The right to run the pipelines of a workspace: one process at a time has it, for one workspace."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: IO[bytes] | None = None

    def take(self) -> None:
        """Takes it. `Conflict` when another process has it, or this one has it for another workspace."""
        if not _only.acquire(blocking=False):
            what = "this process runs the pipelines of a workspace already"
            raise Conflict(what, where=str(self._path.parent), fix="Stop that runner first")
        lock = self._path.open("wb")
        try:
            # The kernel lets go of it when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            _only.release()
            what = "another worker runs the pipelines of this workspace"
            raise Conflict(what, where=str(self._path.parent), fix="Let it do the work, or stop it") from error
        self._lock = lock

    def leave(self) -> None:
        """Gives it back, if it was taken."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            _only.release()
