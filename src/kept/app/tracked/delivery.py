"""From a spool to its destination: in order, each frame exactly once, and nothing removed before it is acknowledged."""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kept.app.tracked.destination import Destination
from kept.app.tracked.spool import FACTS, MAGIC
from kept.core.errors import Conflict, Damaged, Invalid, KeptError
from kept.store.spool import begin_size, payloads, segments
from kept.tracking.run import RunStatus
from kept.tracking.spooled import Ended, FileNote, Frame, ReceiveFrames, Refusal

FILES = "files"
REFUSED = "refused.jsonl"
_MOST_ROWS = 5_000
_MOST_BYTES = 1 << 20
_TORN = ".torn"
_NAME = re.compile(r"[0-9]{6,20}")

_logger = logging.getLogger("kept.tracking")


class Delivery:
    """Delivers one spool, as far as it is written, again and again; or to its end when its process is dead.

    Args:
        spool: its folder.
        run: the run it belongs to.
        destination: where it goes.
    """

    def __init__(self, spool: Path, run: str, destination: Destination) -> None:
        self._spool = spool
        self._run = run
        self._destination = destination
        self._location = ""
        self.position = 0
        """The offset behind the last frame that is acknowledged."""
        self.refused: list[Refusal] = []
        self.sent = 0
        """Frames that were acknowledged."""

    def deliver(self) -> None:
        """Sends what the spool holds now and removes segments that are acknowledged whole.

        Raises `KeptError` when the destination is away or does not take it; all that is not acknowledged stays.
        """
        found = segments(self._spool)
        for place, (start, path) in enumerate(found):
            for frames, end in self._batches(start, path):
                self._send(frames, end)
            # The last one may be written to yet, and tells whether the run was ended.
            if place + 1 < len(found):
                self._leave(start, path)

    def end_for(self, reason: str) -> None:
        """After all of a dead process's spool: ends its run when the process did not."""
        found = segments(self._spool)
        if not found:
            return
        start, path = found[-1]
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if not any(frame.ended for _, frame, _ in self._frames(start, path, after=0)):
            end = max(self.position, start + path.stat().st_size) + 1
            ended = Ended(status=RunStatus.FAILED, at=written, error=reason)
            self._send([Frame(position=end, ended=ended)], end)

    def clear(self) -> bool:
        """Removes a spool that is acknowledged to its end; what was refused or is torn keeps its folder. Whether it is gone."""
        for start, path in segments(self._spool):
            self._leave(start, path)
        kept = [path for path in self._spool.iterdir() if path.name == REFUSED or path.suffix == _TORN]
        if kept:
            return False
        for path in (self._spool / FILES).glob("*"):
            path.unlink(missing_ok=True)
        if (self._spool / FILES).is_dir():
            (self._spool / FILES).rmdir()
        (self._spool / FACTS).unlink(missing_ok=True)
        self._spool.rmdir()
        return True

    def _batches(self, start: int, path: Path) -> Iterator[tuple[list[Frame], int]]:
        """Frames that fit into one request; one with a file is sent when the file is put down."""
        frames: list[Frame] = []
        rows = size = end = 0
        for end, frame, length in self._frames(start, path, after=self.position):
            if frame.file is not None and frames:
                yield frames, frames[-1].position
                frames, rows, size = [], 0, 0
            frames.append(frame)
            rows, size = rows + len(frame.logged), size + length
            if frame.file is not None or rows >= _MOST_ROWS or size >= _MOST_BYTES:
                yield frames, end
                frames, rows, size = [], 0, 0
        if frames:
            yield frames, end

    def _frames(self, start: int, path: Path, *, after: int) -> Iterator[tuple[int, Frame, int]]:
        try:
            for end, payload in payloads(path, start, MAGIC, after=after):
                yield end, self._decoded(payload, end, path), len(payload)
        except Damaged as error:
            _logger.error("%s", error)  # noqa: TRY400 - its words are enough

    def _decoded(self, payload: bytes, end: int, path: Path) -> Frame:
        try:
            return msgspec.structs.replace(_decoder.decode(payload), position=end)
        except msgspec.DecodeError as error:
            raise Damaged(f"a frame with the right sum is none ({error})", where=str(path)) from error

    def _send(self, frames: list[Frame], end: int) -> None:
        if end <= self.position:
            return
        noted = frames[-1].file
        waiting = None if noted is None else self._waiting(noted)
        if noted is not None and waiting is not None:
            self._put(frames[-1], noted, waiting)
        writer = self._spool.name
        answer = self._destination.receive(ReceiveFrames(run=self._run, writer=writer, frames=frames))
        self._location = answer.location
        by_position = {frame.position: frame for frame in frames}
        for refusal in answer.refused:
            self._set_aside(by_position[refusal.position], refusal)
        if waiting is not None:
            waiting.unlink(missing_ok=True)
        self.sent += len(frames)
        # A process before this one may have been heard further.
        self.position = max(end, answer.position)

    def _waiting(self, noted: FileNote) -> Path | None:
        """The file that waits; None when it was put down and acknowledged by the process before.

        Whoever can write to the spool shall not have another file of this machine sent and removed.
        """
        waiting = self._spool / FILES / noted.waiting
        if not _NAME.fullmatch(noted.waiting):
            raise Damaged(f"{noted.waiting!r} names no file that waits", where=str(self._spool))
        if waiting.is_symlink() or waiting.parent.is_symlink() or (waiting.exists() and not waiting.is_file()):
            raise Damaged("it is no plain file", where=str(waiting))
        return waiting if waiting.exists() else None

    def _put(self, frame: Frame, noted: FileNote, waiting: Path) -> None:
        if not self._location:
            request = ReceiveFrames(run=self._run, writer=self._spool.name, frames=[])
            self._location = self._destination.receive(request).location
        try:
            self._destination.put(self._location, noted.path, waiting)
        except (Invalid, Conflict) as error:
            kept = waiting.with_suffix(_TORN)
            waiting.rename(kept)
            self._set_aside(frame, Refusal(position=frame.position, reason=f"{error} The file is kept as {kept}"))

    def _set_aside(self, frame: Frame, refusal: Refusal) -> None:
        """Keeps what was refused beside the spool, with the reason, for a person to look at."""
        with (self._spool / REFUSED).open("ab") as stream:
            stream.write(msgspec.json.encode({"run": self._run, "reason": refusal.reason, "frame": frame}) + b"\n")
        self.refused.append(refusal)
        _logger.error("run %s: %s", self._run, refusal.reason)

    def _leave(self, start: int, path: Path) -> None:
        """Removes a segment that is acknowledged. Bytes that are no whole frame are set aside, not removed."""
        ends = [end for end, _, _ in self._frames(start, path, after=0)]
        whole = max([start + begin_size(path), *ends])
        size = path.stat().st_size
        if start + size <= whole:
            path.unlink()
        else:
            _logger.error("%s ends in %d bytes that are no whole frame; it was set aside", path, start + size - whole)
            path.rename(path.with_suffix(_TORN))


_decoder = msgspec.msgpack.Decoder(Frame)


def told(error: Exception) -> str:
    """What went wrong, in one line: our errors in their own words."""
    return str(error) if isinstance(error, KeptError) else f"{type(error).__name__}: {error}"
