"""A run that training code logs."""

import atexit
import logging
import operator
import os
import shutil
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Any, Self, SupportsFloat, cast

import msgspec

from kept.app.tracked.delivery import FILES, Delivery
from kept.app.tracked.destination import Destination
from kept.app.tracked.recorder import Mark, Recorder, Row, WhenFull
from kept.app.tracked.sender import Sender
from kept.app.tracked.spool import facts_of
from kept.app.tracked.waiting import deliver_waiting
from kept.core.errors import Invalid, KeptError, Unavailable
from kept.tracking.artifact_files import checked
from kept.tracking.names import check_metric, check_param, check_tag
from kept.tracking.run import RunStatus
from kept.tracking.spooled import Begun, Ended, FileNote, Frame, ReceiveFrames

_PATIENCE_SECONDS = 10.0
_LARGEST = 2**63
_ABSENT: Any = object()

_logger = logging.getLogger("kept.tracking")


class TrackedRun:
    """A run of an experiment, logged from training code. Get one from `kept.track`, and use it in a `with` block.

    What is promised, and when:

    - `log`, `params` and `tag` return at once: what they are given is in memory. They raise when it can not be kept.
    - Within 50 ms it is with the operating system, in the spool: it survives `kill -9` of the process, though not the
      death of the machine. Where the process is killed, the next one that logs to the same place, `kept runs sync`, or
      the worker of the workspace delivers it, and the run is marked as failed.
    - About a quarter of a second later it is sent. When the destination has acknowledged it, it is on its disk, exactly
      once, however often it had to be sent. `flush` waits for that.
    - While the destination is away, training goes on and the spool grows, up to `KEPT_SPOOL_MEGABYTES`. From there on
      `log` waits for room, or raises `Unavailable` where the run was begun with `when_full="raise"`. Nothing is dropped.
    - The end of the block waits up to 10 seconds for the acknowledgement. What is not acknowledged by then stays in the
      spool, which is said in the log. What was refused is kept beside the spool, and the block raises `Invalid`.

    The child of a fork may log, too: it gets a spool of its own, and never ends the run. It should `flush` before it
    ends, as children are often ended without a last word.
    """

    def __init__(
        self,
        run_id: str,
        *,
        begun: Begun | None,
        destination: Destination,
        reopen: Callable[[], Destination],
        most_bytes: int,
        when_full: WhenFull,
    ) -> None:
        self.id = run_id
        self.experiment = begun.experiment if begun else ""
        self.name = begun.name if begun else ""
        self._begun = begun
        self._destination = destination
        self._reopen = reopen
        self._most_bytes = most_bytes
        self._when_full: WhenFull = when_full
        self._process = os.getpid()
        self._names: set[str] = set()
        self._params: dict[str, str] = {}
        self._step = -1
        self._files = 0
        self._ended = False
        self._recorder: Recorder | _Forked
        self._sender: Sender
        self._open(destination)
        if begun is not None:
            self._put(Frame(begun=begun))
        _OPEN.add(self)

    def __repr__(self) -> str:
        """What stands below a cell of a notebook."""
        return f"TrackedRun({self.name or self.id!r}, experiment={self.experiment!r}, id={self.id!r})"

    def log(
        self,
        metrics: Mapping[str, SupportsFloat] | str | None = None,
        one: SupportsFloat = _ABSENT,
        /,
        *,
        step: int | None = None,
        **more: SupportsFloat,
    ) -> None:
        """Notes values of metrics at a step; without one, at the step after the last.

        `log(loss=0.5)`, `log({"loss": 0.5})` and `log("loss", 0.5)` are the same.
        It costs the training thread about a microsecond. The same values at the same step and millisecond are one point.

        Raises:
            Invalid: a name or a value that can not be kept.
            Unavailable: the run is ended, or the spool is full and was to raise then.
        """
        values: dict[str, Any] = more
        if metrics is not None or one is not _ABSENT:
            values = {**_named("log", metrics, one), **more}
        names = self._names
        for name, value in values.items():
            if value.__class__ is not float:
                values[name] = _number(name, value)
            if name not in names:
                check_metric(name, 0, 0)
                names.add(name)
        if step is None:
            step = self._step + 1
        elif step.__class__ is not int:
            step = _whole(step)
        if not -_LARGEST <= step < _LARGEST:
            raise Invalid(f"the step {step} has more than 64 bits", where="step", fix="Count in smaller numbers")
        self._step = step
        recorder = self._recorder
        if len(recorder.buffer) > recorder.most:
            recorder.make_room()
        recorder.buffer.append((time_ns() // 1_000_000, step, values))
        if not recorder.awake:
            recorder.wake()

    def params(self, values: Mapping[str, Any] | str | None = None, value: Any = _ABSENT, /, **more: Any) -> None:
        """Notes what the run is done with, written in any of the ways that `log` takes. Text is kept as it is, anything else as JSON. A parameter never changes.

        Raises:
            Invalid: a name or a value that can not be kept, or a parameter that has another value already.
        """
        texts = {name: _text(one) for name, one in {**_named("params", values, value), **more}.items()}
        for name, text in texts.items():
            check_param(name, text)
            if (known := self._params.get(name, text)) != text:
                fix = "Log it under another name, or begin another run"
                raise Invalid(f"it is {known!r} and cannot become {text!r}", where=f"parameter {name}", fix=fix)
        if texts:
            self._params |= texts
            self._put(Frame(params=texts))

    def tag(self, values: Mapping[str, Any] | str | None = None, value: Any = _ABSENT, /, **more: Any) -> None:
        """Sets tags, written in any of the ways that `log` takes; the last value of a name wins. Text is kept as it is, anything else as JSON."""
        texts = {name: _text(one) for name, one in {**_named("tag", values, value), **more}.items()}
        for name, text in texts.items():
            check_tag(name, text)
        if texts:
            self._put(Frame(tags=texts))

    def artifact(self, path: str | Path, to: str | None = None) -> None:
        """Keeps a file, or a folder with all that is in it, with the run, as `to` (its own name by default).

        It is copied into the spool and sent from there, so it may change or go away afterwards. A file for which the spool
        has no room is sent at once, and this waits for it.

        Raises:
            Invalid: there is no such file, or it can not have that name.
            Unavailable: it had to be sent at once and the destination is away.
        """
        source = Path(path)
        name = source.name if to is None else to
        if source.is_dir():
            for file in sorted(one for one in source.rglob("*") if one.is_file()):
                self.artifact(file, f"{name}/{file.relative_to(source).as_posix()}")
            return
        if not source.is_file():
            raise Invalid("there is no such file", where=str(source), fix="Give the path of a file or a folder")
        checked(name)
        recorder = self._recording()
        held = sum(one.stat().st_size for one in (recorder.folder / FILES).glob("*"))
        if not recorder.room_for(held + source.stat().st_size):
            self.flush()
            answer = self._destination.receive(ReceiveFrames(run=self.id, writer=recorder.folder.name, frames=[]))
            self._destination.put(answer.location, name, source)
            return
        self._files += 1
        waiting = f"{self._files:06d}"
        try:
            (recorder.folder / FILES).mkdir(exist_ok=True)
            shutil.copyfile(source, recorder.folder / FILES / waiting)
        except OSError as error:
            what = f"it cannot be copied into the spool ({error.strerror})"
            raise Unavailable(
                what, where=str(source), fix="Free space, or name another folder with KEPT_SPOOL"
            ) from error
        self._put(Frame(file=FileNote(path=name, waiting=waiting)))

    def flush(self, timeout: float | None = 60.0) -> None:
        """Waits until the destination has acknowledged all that was logged before.

        Raises:
            Unavailable: it did not within the timeout (seconds; None waits for ever). Nothing is lost by that.
            Invalid: something was refused.
        """
        recorder = self._recording()
        mark = recorder.settle(timeout)
        if not self._sender.wait(mark.offset, timeout):
            why = self._sender.trouble or "it takes its time"
            what = f"not all is acknowledged within {timeout:g} seconds: {why}"
            raise Unavailable(what, where=self._destination.address, fix="It waits in the spool and will be sent again")
        self._tell_refused()

    def end(self, status: RunStatus | str = RunStatus.FINISHED, error: str | None = None) -> None:
        """Ends the run: `finished`, `failed` or `cancelled`. A second end changes nothing.

        A run that was begun elsewhere is only let go of.

        Raises:
            Invalid: something was refused.
            Unavailable: the disk did not take all that was logged; this is the only way to lose any.
        """
        if self._ended:
            return
        if isinstance(self._recorder, _Forked):
            self._ended = True
            return
        wanted = RunStatus(status)
        if not wanted.ended:
            raise Invalid(f"{wanted} is no end", where="status", fix="Say finished, failed or cancelled")
        if self._begun is not None and os.getpid() == self._process:
            said = None if error is None else writable(error)
            self._put(Frame(ended=Ended(status=wanted, at=datetime.now(UTC), error=said)))
        self._ended = True
        _OPEN.discard(self)
        # What was taken is kept: at the end the spool may grow beyond its bound.
        self._recorder.open_wide()
        try:
            mark = self._recorder.settle(_PATIENCE_SECONDS)
            arrived = self._sender.wait(mark.offset, _PATIENCE_SECONDS)
        finally:
            self._sender.close()
            self._recorder.stop()
        if arrived and self._sender.delivery is not None:
            self._sender.delivery.clear()
        else:
            why = self._sender.trouble or "the destination takes its time"
            _logger.warning(
                "run %s: what was logged waits in %s (%s); kept runs sync sends it", self.id, self._recorder.folder, why
            )
        self._recorder.close()
        self._destination.close()
        self._tell_refused()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or error is None:
            self.end()
            return
        status = RunStatus.CANCELLED if issubclass(kind, KeyboardInterrupt) else RunStatus.FAILED
        try:
            self.end(status, f"{kind.__name__}: {error}")
        except KeptError as later:
            # The error of the training is the one to see.
            _logger.error("run %s: %s", self.id, later)  # noqa: TRY400 - its words are enough

    def _open(self, destination: Destination) -> None:
        begun = self._begun is not None and os.getpid() == self._process
        facts = facts_of(self.id, begun=begun, actor=destination.actor, address=destination.address)
        recorder = Recorder(
            destination.spools,
            facts,
            most_bytes=self._most_bytes,
            when_full=self._when_full,
            news=lambda: sender.news(),  # noqa: PLW0108 - there is no sender yet
        )
        sender = Sender(
            lambda: Delivery(recorder.folder, self.id, destination),
            recorder.acknowledge,
            lambda: _deliver_others(self._reopen, recorder.folder),
        )
        self._destination, self._recorder, self._sender = destination, recorder, sender

    def _recording(self) -> Recorder:
        if isinstance(self._recorder, _Forked):
            self._recorder.wake()
        if isinstance(self._recorder, _Forked) or self._ended:
            raise Unavailable("the run is ended", where=f"run {self.id}", fix="Log before its end")
        return self._recorder

    def _put(self, frame: Frame) -> None:
        recorder = self._recording()
        recorder.buffer.append(frame)
        recorder.wake()

    def _tell_refused(self) -> None:
        delivery = self._sender.delivery
        if delivery is not None and delivery.refused:
            reasons = "; ".join(dict.fromkeys(one.reason for one in delivery.refused))
            raise Invalid(f"{len(delivery.refused)} of what was logged was refused: {reasons}", where=f"run {self.id}")

    def _forked(self) -> None:
        """In the child of a fork: what the parent has in its buffer and its spool is the parent's."""
        if isinstance(self._recorder, Recorder):
            self._recorder.close()
            _INHERITED.append((self._sender, self._destination))
        self._recorder = _Forked(self._begin_again)

    def _begin_again(self) -> None:
        waiting = self._recorder.buffer
        self._open(self._reopen())
        self._recorder.buffer.extend(waiting)
        self._recorder.wake()


class _Forked:
    """Stands in the place of a recorder in the child of a fork, until the child logs."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self.buffer: deque[Row | Frame | Mark] = deque()
        self.most = sys.maxsize
        self.awake = False
        self.wake = begin

    def make_room(self) -> None:
        """There is always room."""


def _named(call: str, first: Any, value: Any) -> Mapping[str, Any]:
    """What a call was given by position: a mapping, or one name and its value."""
    if isinstance(first, str) and value is not _ABSENT:
        return {first: value}
    if value is _ABSENT and first is None:
        return {}
    # Whatever can be spread is a mapping, as a row of a data frame is.
    if value is _ABSENT and hasattr(first, "keys"):
        return cast("Mapping[str, Any]", first)
    fix = f'Write {call}(loss=0.5), {call}({{"loss": 0.5}}) or {call}("loss", 0.5)'
    if call == "log":
        fix += "; a step by its name: step=3"
    raise Invalid("it takes names with their values", where=f"{call}()", fix=fix)


def _number(name: str, value: SupportsFloat) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"{value!r} is not a number", where=f"metric {name}", fix="Log one number") from error


def _whole(step: Any) -> int:
    try:
        return operator.index(step)
    except TypeError as error:
        raise Invalid(f"{step!r} is not a whole number", where="step", fix="Count steps in whole numbers") from error


def _text(value: Any) -> str:
    try:
        return writable(value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode())
    except TypeError:
        return writable(repr(value))


def writable(text: str) -> str:
    """The text without what no store can hold: NUL, and halves of characters."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _deliver_others(reopen: Callable[[], Destination], own: Path) -> None:
    """In a thread of its own: what dead processes left may be much."""

    def deliver() -> None:
        destination = reopen()
        try:
            for one in deliver_waiting(destination, own=own.name):
                if one.frames:
                    _logger.info("delivered %d frames of run %s, whose process is dead", one.frames, one.run)
        finally:
            destination.close()

    with suppress(OSError):
        if any(path.is_dir() and path != own for path in own.parent.iterdir()):
            threading.Thread(target=deliver, name="kept-waiting", daemon=True).start()


# Connections of the parent, which the child must neither use nor close: they are kept from being collected.
_INHERITED: list[tuple[Sender, Destination]] = []
_OPEN: "weakref.WeakSet[TrackedRun]" = weakref.WeakSet()


def _end_open_ones() -> None:
    failed = getattr(sys, "last_value", None)
    for run in list(_OPEN):
        try:
            if failed is None:
                run.end()
            else:
                run.end(RunStatus.FAILED, f"{type(failed).__name__}: {failed}")
        except KeptError as error:
            _logger.error("run %s: %s", run.id, error)  # noqa: TRY400 - its words are enough


def _after_fork() -> None:
    for run in list(_OPEN):
        run._forked()  # noqa: SLF001 - its own module


atexit.register(_end_open_ones)
os.register_at_fork(after_in_child=_after_fork)
