"""Locks between processes, on files. The kernel releases them however the process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Exclusive:
    """A place that one process holds, by a lock on a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def take(self) -> bool:
        """Takes the place, or says that another process has it. Taking what is held already changes nothing."""
        if self._lock is not None:
            return True
        lock = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def leave(self) -> None:
        """Gives the place back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Holds the place of a file while the block runs, and says whether it was free."""
    place = Exclusive(path)
    try:
        yield place.take()
    finally:
        place.leave()
