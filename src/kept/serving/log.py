"""The prediction log's spool: what is answered is on it first.

A write reaches the kernel before the answers go out, so that it survives kill -9 of the process; with `flush` it
reaches the disk, so that it survives a power cut.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import xxhash

from kept.core.errors import Unavailable
from kept.core.ids import new_id
from kept.serving.entries import HEADER, MAGIC, Answered, ArmNote, Failed

_encoder = msgspec.msgpack.Encoder()


class Spool:
    """One process's spool under a folder. Its own folder is locked while the process lives.

    Args:
        root: the folder of all spools.
        segment_bytes: size from which on a new segment is begun.
        flush: whether each write waits for the disk.
    """

    def __init__(self, root: Path, *, segment_bytes: int = 8 << 20, flush: bool = False) -> None:
        self._root = root
        self._folder = root / new_id()
        self._limit = segment_bytes
        self._flush = flush
        self._lock: int | None = None
        self._file: int | None = None
        self._start = 0
        self._size = 0
        self._noted: set[str] = set()
        self._buffer = bytearray()

    @property
    def folder(self) -> Path:
        """Where this process's segments are; made at the first write."""
        return self._folder

    def write(self, answered: Iterable[tuple[ArmNote, Answered]], failed: Iterable[Failed] = ()) -> None:
        """Writes one frame. When this returns, the entries are kept; when it raises `Unavailable`, none of them counts."""
        try:
            self._write(answered, failed)
        except OSError as error:
            raise Unavailable(
                f"the prediction log cannot be written ({error.strerror})",
                where=str(self._folder),
                fix="Free space on its disk; nothing is answered that is not logged",
            ) from error

    def close(self) -> None:
        """Gives the segment and the lock back."""
        self._leave_segment()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self, answered: Iterable[tuple[ArmNote, Answered]], failed: Iterable[Failed]) -> None:
        if self._size >= self._limit:
            self._leave_segment()
        file = self._file if self._file is not None else self._begin_segment()
        entries: list[ArmNote | Answered | Failed] = []
        news: set[str] = set()
        for note, batch in answered:
            if note.key not in self._noted and note.key not in news:
                entries.append(note)
                news.add(note.key)
            entries.append(batch)
        entries += failed
        buffer = self._buffer
        _encoder.encode_into(entries, buffer, HEADER.size)
        payload = memoryview(buffer)[HEADER.size :]
        HEADER.pack_into(buffer, 0, len(payload), xxhash.xxh3_64_intdigest(payload))
        payload.release()
        self._put(file, buffer)
        self._noted |= news

    def _put(self, file: int, data: bytearray) -> None:
        written = 0
        try:
            with memoryview(data) as view:
                while written < len(data):
                    written += os.write(file, view[written:])
        except OSError:
            # A torn frame must not stay before later ones: a reader stops at it.
            try:
                os.ftruncate(file, self._size)
            except OSError:
                self._leave_segment()
            raise
        self._size += written
        if self._flush:
            try:
                os.fdatasync(file)
            except OSError:
                # What the kernel holds of this file is unknown now: go on in another one, behind this frame.
                self._leave_segment()
                raise

    def _begin_segment(self) -> int:
        if self._lock is None:
            self._lock = self._claim()
        path = self._folder / f"{self._start:020d}.log"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            if os.write(file, MAGIC) < len(MAGIC):
                raise OSError(28, "No space left on device")
            if self._flush:
                os.fdatasync(file)
                os.fsync(self._lock)
        except OSError:
            os.close(file)
            raise
        self._file, self._size, self._noted = file, len(MAGIC), set()
        return file

    def _leave_segment(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            os.close(self._file)
        self._start += self._size
        self._file, self._size, self._noted = None, 0, set()

    def _claim(self) -> int:
        """Makes the folder, locked before it gets its name, so that no one takes it for a dead process's."""
        self._root.mkdir(parents=True, exist_ok=True)
        new = self._root / f".new-{self._folder.name}"
        new.mkdir(exist_ok=True)
        lock = os.open(new, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(self._folder)
        except OSError:
            os.close(lock)
            raise
        return lock


def is_live(spool: Path) -> bool:
    """Whether the process that writes this spool lives."""
    folder = os.open(spool, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(folder)
    return False
