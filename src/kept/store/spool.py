"""Spools: write-ahead logs of what a process has yet to hand on, framed on disk, so that it outlives the process (format 2).

A spool is a folder per process with segments `<offset>.log`. Offsets count the bytes of all segments of a spool, one after
the other; a segment's name is the offset of its first byte, in 20 digits. A segment is 7 bytes that say whose it is, the digit of
its format, a seed of 8 bytes (drawn for it), then frames. A frame is the payload's length (u32, little endian), its xxh3-64 with
that seed (u64, little endian) and the payload, and is written with one write, so that it is there as a whole or not at all. The
process holds a lock on the folder while it lives.

Nobody who has something written knows the seed, and so what is sent is never taken for a frame, whatever is torn around it.
Format 1 had no seed.
"""

import contextlib
import fcntl
import logging
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import xxhash

from kept.core.errors import Damaged
from kept.core.ids import new_id

HEADER = struct.Struct("<IQ")
LARGEST_FRAME = 1 << 30
# How much is summed up in looking for a frame behind torn bytes, so that the time grows with their number and not its square.
_SUMMED_AT_LEAST = 16 << 20
_SUMMED_A_BYTE = 64
# How often a writer looks whether its segment is still there.
_LOOK_SECONDS = 0.5
_COPIED = 1 << 20
_SEED = struct.Struct("<Q")
_KIND_SIZE = 7
_FORMAT_1, _FORMAT_2 = b"1", b"2"
_LONGEST_BEGIN = _KIND_SIZE + 1 + _SEED.size

_logger = logging.getLogger("kept.store")

_FRESH = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class SpoolWriter:
    """Writes one process's spool under a folder. An open segment that somebody takes away is put down again, as it was.

    Args:
        root: the folder of all spools.
        magic: 7 bytes that each segment begins with.
        segment_bytes: size from which on a new segment is begun.
        flush: whether each write waits for the disk.
        facts: files that the folder holds from its first moment on, by name.
    """

    def __init__(
        self,
        root: Path,
        magic: bytes,
        *,
        segment_bytes: int = 8 << 20,
        flush: bool = False,
        facts: dict[str, bytes] | None = None,
    ) -> None:
        self._root = root
        self._magic = magic
        self._limit = segment_bytes
        self._flush = flush
        self._facts = facts or {}
        self._folder = root / new_id()
        self._lock: int | None = None
        self._file: int | None = None
        self._seed = 0
        self._start = 0
        self._size = 0
        self._look_at = 0.0

    @property
    def folder(self) -> Path:
        """Where the segments are; made when the first one is begun."""
        return self._folder

    @property
    def offset(self) -> int:
        """The offset behind the last frame."""
        return self._start + self._size

    @property
    def full(self) -> bool:
        """Whether no segment is open, or the open one is long enough: the next frame begins one."""
        return self._file is None or self._size >= self._limit

    def turn(self) -> bool:
        """Begins a segment when none is open or the open one is long enough; whether it did."""
        if self._size >= self._limit:
            self.put_back()
            self._leave_segment()
        if self._file is not None:
            if (now := time.monotonic()) >= self._look_at:
                self._look_at = now + _LOOK_SECONDS
                self.put_back()
            return False
        if self._lock is None:
            self._lock = self._claim()
        elif not self._folder.exists():
            # Somebody took it away with what was in it: what is to come goes to a new one.
            os.close(self._lock)
            self._lock, self._folder = None, self._root / new_id()
            self._lock = self._claim()
        file = os.open(self._segment, _FRESH, 0o600)
        seed = os.urandom(_SEED.size)
        begin = self._magic + _FORMAT_2 + seed
        try:
            if os.write(file, begin) < len(begin):
                raise OSError(28, "No space left on device")
            if self._flush:
                os.fdatasync(file)
                os.fsync(self._lock)
        except OSError:
            os.close(file)
            raise
        self._file, self._size = file, len(begin)
        (self._seed,) = _SEED.unpack(seed)
        return True

    def append(self, frame: bytearray) -> int:
        """Writes a frame: a payload behind as many free bytes as the header has. The offset behind it.

        When it raises `OSError`, nothing of the frame counts. Call `turn` before.
        """
        if self._file is None:
            self.turn()
        with memoryview(frame)[HEADER.size :] as payload:
            digest = xxhash.xxh3_64_intdigest(payload, self._seed)
        HEADER.pack_into(frame, 0, len(frame) - HEADER.size, digest)
        self._put(self._file, frame)  # type: ignore[arg-type] # a segment is open
        return self.offset

    def put_back(self) -> None:
        """Writes the open segment anew where it was removed: its bytes are there as long as it is open.

        It keeps its folder and its name, so that what was handed on of it before is not handed on again.
        """
        if self._file is None or os.fstat(self._file).st_nlink:
            return
        if self._lock is None or not self._folder.exists():
            lock, self._lock = self._lock, self._claim()
            if lock is not None:
                os.close(lock)
        # Until it is whole it has the name of what is set aside.
        fresh = self._segment.with_suffix(".torn")
        with contextlib.ExitStack() as ours:
            file = os.open(fresh, _FRESH, 0o600)
            ours.callback(os.close, file)
            for place in range(0, self._size, _COPIED):
                piece = os.pread(self._file, min(_COPIED, self._size - place), place)
                if os.write(file, piece) < len(piece):
                    raise OSError(28, "No space left on device")
            if self._flush:
                os.fdatasync(file)
            fresh.rename(self._segment)
            if self._flush:
                os.fsync(self._lock)
            ours.pop_all()
        os.close(self._file)
        self._file = file
        _logger.error(
            "%s was removed while it was written, and is there again; what waited beside it is lost", self._segment
        )

    def close(self) -> None:
        """Gives the segment and the lock back; whoever has handed on what was written may have removed it before."""
        self._leave_segment()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

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

    def _leave_segment(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            os.close(self._file)
        self._start += self._size
        self._file, self._size = None, 0

    @property
    def _segment(self) -> Path:
        return self._folder / f"{self._start:020d}.log"

    def _claim(self) -> int:
        """Makes the folder, locked before it gets its name, so that no one takes it for a dead process's."""
        self._root.mkdir(parents=True, exist_ok=True)
        new = self._root / f".new-{self._folder.name}"
        # What waits is for its owner alone.
        new.mkdir(mode=0o700, exist_ok=True)
        for name, content in self._facts.items():
            (new / name).write_bytes(content)
        lock = os.open(new, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(self._folder)
        except OSError:
            os.close(lock)
            raise
        return lock


def segments(spool: Path) -> list[tuple[int, Path]]:
    """A spool's segments and their first offsets, in order."""
    return sorted((int(path.stem), path) for path in spool.glob(f"{'[0-9]' * 20}.log") if path.is_file())


def payloads(
    path: Path, start: int, magic: bytes, *, after: int = 0, torn: Callable[[int], None] | None = None
) -> Iterator[tuple[int, bytes]]:
    """The payloads of the whole frames of a segment, each with the offset behind it, up to the first that is torn.

    Args:
        path: the segment.
        start: the offset of its first byte.
        magic: 7 bytes that it must begin with.
        after: an offset behind a frame of this segment, to go on from there.
        torn: told how many bytes before a whole frame belong to none, which are passed over then; only for a segment that
            nobody writes any more.

    Raises:
        Damaged: the file is not a segment.
    """
    with path.open("rb") as stream:
        begin = _begin(stream, magic, path)
        if begin is None:
            return
        size, seed = begin
        offset = max(start + size, after)
        while True:
            payload = _frame_at(stream, offset - start, seed)
            if payload is None:
                found = None if torn is None else _next_frame(stream, offset - start, seed)
                if torn is None or found is None:
                    return
                torn(found + start - offset)
                offset = found + start
                continue
            offset += HEADER.size + len(payload)
            yield offset, payload


def begin_size(path: Path) -> int:
    """How many bytes of a segment stand before its first frame; of one that has not even these, how many it has."""
    with path.open("rb") as stream:
        begin = stream.read(_LONGEST_BEGIN)
    return len(begin) if begin[_KIND_SIZE : _KIND_SIZE + 1] != _FORMAT_1 else _KIND_SIZE + 1


def _begin(stream: BinaryIO, magic: bytes, path: Path) -> tuple[int, int] | None:
    """The size of what stands before a segment's first frame, and the seed of its sums; None of one that ends before."""
    begin = stream.read(_LONGEST_BEGIN)
    kind, number = begin[:_KIND_SIZE], begin[_KIND_SIZE : _KIND_SIZE + 1]
    if kind != magic[: len(kind)] or number not in {b"", _FORMAT_1, _FORMAT_2}:
        raise Damaged("it does not begin like a segment of format 1 or 2", where=str(path))
    if number == _FORMAT_1:
        return _KIND_SIZE + 1, 0
    if len(begin) < _LONGEST_BEGIN:
        return None
    return _LONGEST_BEGIN, _SEED.unpack_from(begin, _KIND_SIZE + 1)[0]


def _frame_at(stream: BinaryIO, place: int, seed: int) -> bytes | None:
    """The payload of the frame that begins there; None when no whole one does."""
    stream.seek(place)
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    length, digest = HEADER.unpack(head)
    if length > LARGEST_FRAME or len(payload := stream.read(length)) < length:
        return None
    return payload if xxhash.xxh3_64_intdigest(payload, seed) == digest else None


def _next_frame(stream: BinaryIO, place: int, seed: int) -> int | None:
    """Where the next whole frame begins behind a place at which none does: behind the length that stands there, or anywhere.

    Where that length leads beyond the end, a write may have been cut off, and what stands there is what somebody sent: only
    frames that go on to the very end are ours then.
    """
    stream.seek(place)
    rest = stream.read()
    if len(rest) < HEADER.size:
        return None
    end = place + len(rest)
    behind: int = place + HEADER.size + HEADER.unpack_from(rest)[0]
    if _frame_at(stream, behind, seed) is not None:
        return behind
    left, skipped = _SUMMED_AT_LEAST, 1
    while skipped < len(rest) - HEADER.size:
        length, digest = HEADER.unpack_from(rest, skipped)
        begin = skipped + HEADER.size
        left += _SUMMED_A_BYTE
        if 0 < length <= min(len(rest) - begin, left):
            if xxhash.xxh3_64_intdigest(rest[begin : begin + length], seed) == digest:
                last = end if behind <= end else _end_of_frames(stream, place + skipped, seed)
                if last == end:
                    return place + skipped
                skipped = last - place
                continue
            left -= length
        skipped += 1
    return None


def _end_of_frames(stream: BinaryIO, place: int, seed: int) -> int:
    """The place behind the last of the whole frames that begin there."""
    while (payload := _frame_at(stream, place, seed)) is not None:
        place += HEADER.size + len(payload)
    return place


def spooled_bytes(root: Path) -> int:
    """What all spools under a folder hold that is still to be handed on."""
    total = 0
    for path in root.glob("*/*.log"):
        # Segments go while we look.
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


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
