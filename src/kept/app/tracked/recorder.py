"""From the training thread to the spool: a bounded buffer in memory, and a thread that writes it to disk."""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from kept.app.tracked.spool import FACTS, MAGIC, SpoolFacts
from kept.core.errors import Unavailable
from kept.store.spool import HEADER, SpoolWriter
from kept.tracking.spooled import Frame, Logged

WhenFull = Literal["wait", "raise"]

WITHIN_SECONDS = 0.05
"""How long what was logged may stay in memory only, where the disk keeps up."""
_MOST_WAITING = 20_000
_ROWS_A_FRAME = 1_000
_SEGMENT_BYTES = 4 << 20
_NAP_SECONDS = 0.2

_logger = logging.getLogger("kept.tracking")

Row = tuple[int, int, dict[str, float]]
"""Milliseconds since 1970, step, values by metric."""


class Mark:
    """A place in the order of what was logged; set when all before it is written."""

    def __init__(self) -> None:
        self.written = threading.Event()
        self.offset = 0


class Recorder:
    """Writes what is put in `buffer`, in order, to a spool of its own.

    Whoever fills the buffer calls `make_room` when it is longer than `most`, appends to it, and calls `wake` unless `awake`
    is set. Appending is all that the training thread pays for.

    Args:
        root: the folder of spools.
        facts: whose the spool is.
        most_bytes: how much of it may wait for the destination.
        when_full: what `make_room` does then.
        news: called after each write.
    """

    def __init__(
        self, root: Path, facts: SpoolFacts, *, most_bytes: int, when_full: WhenFull, news: Callable[[], None]
    ) -> None:
        self.buffer: deque[Row | Frame | Mark] = deque()
        self.most = _MOST_WAITING
        self.awake = False
        self._writer = SpoolWriter(root, MAGIC, segment_bytes=_SEGMENT_BYTES, facts={FACTS: msgspec.json.encode(facts)})
        self._most_bytes = most_bytes
        self._when_full = when_full
        self._news = news
        self._acknowledged = 0
        self._last = 0
        self._trouble = ""
        self._wake = threading.Event()
        self._room = threading.Event()
        self._hurry = False
        self._closing = False
        # At once, so that a folder that cannot be written is told where the run is begun.
        try:
            self._writer.turn()
        except OSError as error:
            what = f"what is logged cannot be spooled ({error.strerror})"
            raise Unavailable(what, where=str(root), fix="Name a folder that can be written with KEPT_SPOOL") from error
        self._thread = threading.Thread(target=self._run, name="kept-spool", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """The spool."""
        return self._writer.folder

    def wake(self) -> None:
        """Has what is in the buffer written."""
        self.awake = True
        self._wake.set()

    def make_room(self) -> None:
        """Waits until the buffer is short enough; `Unavailable` where it is declared so, or the spool has ended."""
        told = False
        while len(self.buffer) > self.most:
            if not self._thread.is_alive():
                raise Unavailable("the run is ended", where="log", fix="Log before its end")
            if self._trouble and self._when_full == "raise":
                raise Unavailable(self._trouble, where=str(self.folder), fix="See why it is away, or free space")
            if self._trouble and not told:
                told = True
                _logger.warning("%s; training waits for it", self._trouble)
            self._room.clear()
            self.wake()
            self._room.wait(_NAP_SECONDS)

    def room_for(self, size: int) -> bool:
        """Whether so many bytes more may wait."""
        return self._last - self._acknowledged + size <= self._most_bytes

    def open_wide(self) -> None:
        """Lets any number of bytes wait from now on."""
        self._most_bytes = sys.maxsize
        self._room.set()

    def acknowledge(self, position: int) -> None:
        """What is before this position need not wait any more."""
        self._acknowledged = max(self._acknowledged, position)
        self._room.set()

    def settle(self, timeout: float | None = None) -> Mark:
        """Waits until all that was put is with the operating system; `Unavailable` when it is not in time (seconds)."""
        mark = Mark()
        self.buffer.append(mark)
        self._hurry = True
        self._wake.set()
        if not mark.written.wait(timeout):
            what = self._trouble or "the disk takes its time"
            raise Unavailable(f"what is logged is not written yet: {what}", where=str(self.folder), fix="Free space")
        return mark

    def stop(self) -> None:
        """Ends the thread, after what is in the buffer. The spool stays locked until `close`; nothing can be put any more."""
        self._closing = True
        self._wake.set()
        self._room.set()
        self._thread.join(5)
        self.most = -1

    def close(self) -> None:
        """Gives the spool's lock back. In the child of a fork: lets go of the parent's spool."""
        self._writer.close()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if not self._closing and not self._hurry:
                # More may come: a frame for many costs less than many frames. Who waits for a mark ends this.
                self._wake.wait(WITHIN_SECONDS)
            self._hurry = False
            self.awake = False
            while self.buffer:
                try:
                    self._write_some()
                except Exception:
                    # What is put was checked before: this is a fault of ours, and must not stop what comes after.
                    _logger.exception("something that was logged cannot be written and is lost")
            if self._closing:
                return

    def _write_some(self) -> None:
        """Writes what is next in the buffer: rows that follow each other as one frame, or a frame, or nothing for a mark."""
        first = self.buffer.popleft()
        if isinstance(first, Mark):
            first.offset = self._last
            first.written.set()
            return
        if isinstance(first, Frame):
            self._write(first)
            return
        rows = [first]
        while self.buffer and len(rows) < _ROWS_A_FRAME and isinstance(self.buffer[0], tuple):
            rows.append(self.buffer.popleft())  # type: ignore[arg-type] # only this thread takes from it
        self._room.set()
        self._write(Frame(logged=[_logged(*row) for row in rows]))

    def _write(self, frame: Frame) -> None:
        buffer = bytearray()
        _encoder.encode_into(frame, buffer, HEADER.size)
        while True:
            if not self.room_for(len(buffer)) and self._last > self._acknowledged:
                self._trouble = f"the spool holds its {self._most_bytes >> 20} MB and nothing takes them"
            else:
                try:
                    self._writer.turn()
                    self._last = self._writer.append(buffer)
                except OSError as error:
                    self._trouble = f"the spool cannot be written ({error.strerror})"
                else:
                    self._trouble = ""
                    self._news()
                    return
            if self._closing:
                lost = f"{self._trouble}; what was logged last is lost"
                _logger.error("%s", lost)
                return
            self._room.clear()
            self._room.wait(_NAP_SECONDS)


def _logged(at: int, step: int, values: dict[str, float]) -> Logged:
    for value in values.values():
        if value - value != 0.0:
            break
    else:
        return Logged(at=at, step=step, values=values)
    plain = {name: value for name, value in values.items() if value - value == 0.0}
    special = {name: _SPECIAL.get(value, "NaN") for name, value in values.items() if name not in plain}
    return Logged(at=at, step=step, values=plain, special=special)


_SPECIAL = {float("inf"): "Infinity", float("-inf"): "-Infinity"}
_encoder = msgspec.msgpack.Encoder()
