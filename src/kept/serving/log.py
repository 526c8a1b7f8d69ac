"""The prediction log's spool: what is answered is on it first.

A write reaches the kernel before the answers go out, so that it survives kill -9 of the process; with `flush` it
reaches the disk, so that it survives a power cut.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from kept.core.errors import Unavailable
from kept.serving.entries import MAGIC, Answered, ArmNote, Failed
from kept.store.spool import HEADER, SpoolWriter

_encoder = msgspec.msgpack.Encoder()


class Spool:
    """One process's spool under a folder. Its own folder is locked while the process lives.

    Args:
        root: the folder of all spools.
        segment_bytes: size from which on a new segment is begun.
        flush: whether each write waits for the disk.
    """

    def __init__(self, root: Path, *, segment_bytes: int = 8 << 20, flush: bool = False) -> None:
        self._writer = SpoolWriter(root, MAGIC, segment_bytes=segment_bytes, flush=flush)
        self._noted: set[str] = set()
        self._buffer = bytearray()

    @property
    def folder(self) -> Path:
        """Where this process's segments are; made at the first write."""
        return self._writer.folder

    def write(self, answered: Iterable[tuple[ArmNote, Answered]], failed: Iterable[Failed] = ()) -> None:
        """Writes one frame. When this returns, the entries are kept; when it raises `Unavailable`, none of them counts."""
        try:
            self._write(answered, failed)
        except OSError as error:
            raise Unavailable(
                f"the prediction log cannot be written ({error.strerror})",
                where=str(self.folder),
                fix="Free space on its disk; nothing is answered that is not logged",
            ) from error

    def close(self) -> None:
        """Gives the segment and the lock back."""
        self._writer.close()

    def _write(self, answered: Iterable[tuple[ArmNote, Answered]], failed: Iterable[Failed]) -> None:
        if self._writer.turn():
            self._noted = set()
        entries: list[ArmNote | Answered | Failed] = []
        news: set[str] = set()
        for note, batch in answered:
            if note.key not in self._noted and note.key not in news:
                entries.append(note)
                news.add(note.key)
            entries.append(batch)
        entries += failed
        _encoder.encode_into(entries, self._buffer, HEADER.size)
        self._writer.append(self._buffer)
        self._noted |= news
