"""The prediction log's spool: what is answered is on it first.

A write reaches the kernel before the answers go out, so that it survives kill -9 of the process; with `flush` it
reaches the disk, so that it survives a power cut.
"""

import contextlib
import errno
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kept.core.errors import Unavailable
from kept.serving.calls import Call
from kept.serving.counters import LogCounts
from kept.serving.entries import MAGIC, Answered, ArmNote, Failed
from kept.serving.logged_tensors import LoggedTensors
from kept.serving.logrules import LogRules
from kept.serving.redaction import redaction_for
from kept.store.spool import HEADER, SpoolWriter, spooled_bytes

# How often a full log looks for room.
_LOOK_SECONDS = 0.5


class Spool:
    """One process's spool under a folder. Its own folder is locked while the process lives.

    Args:
        root: the folder of all spools.
        segment_bytes: size from which on a new segment is begun.
        rules: what was declared of the log; it is in `rules`, and in `counts` what the log does not hold.
    """

    def __init__(self, root: Path, *, segment_bytes: int = 8 << 20, rules: LogRules | None = None) -> None:
        self.rules = rules or LogRules()
        self._root = root
        self.counts = LogCounts()
        self._writer = SpoolWriter(root, MAGIC, segment_bytes=segment_bytes, flush=self.rules.flush)
        self._redaction = redaction_for(self.rules)
        self._encoder = msgspec.msgpack.Encoder(enc_hook=LoggedTensors(self.rules.tensor_values))
        self._noted: set[str] = set()
        self._buffer = bytearray()
        self._crowded = False
        self._look_at = 0.0

    @property
    def folder(self) -> Path:
        """Where this process's segments are; made at the first write."""
        return self._writer.folder

    def sample(self, calls: list[Call]) -> list[Call]:
        """Those of the answered calls that are of the logged share. A call is logged as a whole or not at all."""
        if self.rules.share >= 1.0:
            return calls
        return [call for call in calls if not call.ids or self.rules.takes(call.ids[0])]

    def write(self, answered: Sequence[tuple[ArmNote, Answered]], failed: Sequence[Failed] = ()) -> None:
        """Writes one frame. When this returns, the entries are kept; when it raises `Unavailable`, none of them counts.

        Where the rules say so, entries are dropped and counted instead.
        """
        try:
            self._write(answered, failed)
        except OSError as error:
            self.counts.full = True
            if self.rules.overflow == "drop":
                self.counts.dropped += sum(len(batch.ids) for _, batch in answered) + len(failed)
                return
            raise Unavailable(
                f"the prediction log cannot be written ({error.strerror})",
                where=str(self.folder),
                fix="Free space on its disk, or let the worker ship it; nothing is answered that is not logged",
            ) from error
        self.counts.full = False

    def close(self) -> None:
        """Gives the segment and the lock back."""
        # Nobody but this process takes what is written last: where it is gone, it was lost.
        with contextlib.suppress(OSError):
            self._writer.put_back()
        self._writer.close()

    def _write(self, answered: Sequence[tuple[ArmNote, Answered]], failed: Sequence[Failed]) -> None:
        if self.rules.most_bytes and (self._crowded or self._writer.full):
            self._find_room()
        if self._writer.turn():
            self._noted = set()
        if self._redaction is not None:
            answered = [self._redaction.of(note, batch) for note, batch in answered]
            failed = [self._redaction.of_failure(one) for one in failed]
        entries: list[ArmNote | Answered | Failed] = []
        news: set[str] = set()
        for note, batch in answered:
            if note.key not in self._noted and note.key not in news:
                entries.append(note if self.rules.share >= 1.0 else self._sampled(note))
                news.add(note.key)
            entries.append(batch)
        entries += failed
        self._encoder.encode_into(entries, self._buffer, HEADER.size)
        self._writer.append(self._buffer)
        self._noted |= news

    def _sampled(self, note: ArmNote) -> ArmNote:
        return msgspec.structs.replace(note, share=self.rules.share)

    def _find_room(self) -> None:
        """Looks whether as much waits to be shipped as may; while it does, not more often than twice a second."""
        now = time.monotonic()
        if not self._crowded or now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._crowded = spooled_bytes(self._root) >= self.rules.most_bytes
        if self._crowded:
            raise OSError(errno.EDQUOT, "more waits to be shipped than log_megabytes allows")
