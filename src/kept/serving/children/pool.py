"""The processes of one model: as many as were declared, each started anew when it dies."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from kept.core.errors import KeptError, Unavailable
from kept.serving.children.messages import Duty
from kept.serving.children.process import Answered, Process

# Of a model that loads for longer nobody knows whether it ever will.
_LONGEST_START = 120.0
# So long calls wait for the only process of a model to be started anew.
_LONGEST_WAIT = 30.0
# After a process that answered nothing another one is started after a while: twice as long each time, up to half a minute.
_FIRST_REST, _LONGEST_REST = 0.5, 30.0

_logger = logging.getLogger("kept.serving")


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """How models run that need processes of their own.

    Args:
        processes: of each model.
        seconds: that a prediction may take.
        megabytes: of memory that each process may have; 0 for no limit.
    """

    processes: int = 1
    seconds: float = 10.0
    megabytes: int = 0


class ProcessCounts:
    """What is counted of all models' processes."""

    __slots__ = ("_lock", "restarts", "up")

    def __init__(self) -> None:
        self.up = 0
        self.restarts = 0
        self._lock = threading.Lock()

    def add(self, up: int, restarts: int = 0) -> None:
        """Notes that processes came up or went. From any thread."""
        with self._lock:
            self.up += up
            self.restarts += restarts


class Pool:
    """The processes of one bundle. It is made in any thread, and asked in the event loop.

    Args:
        folder: the bundle.
        digest: of the bundle.
        trusted: whether it may run code when it loads.
        declared: how many processes, and their limits.
        quiet: whether they give way to all others.
        width: the most numbers that the model answers to a row.
        counts: where starts are counted.

    Raises:
        KeptError: what kept the model from being loaded, as it would be raised here; `Unavailable` when its process ended.
    """

    def __init__(
        self,
        folder: Path,
        digest: str,
        *,
        trusted: bool,
        declared: Declared,
        quiet: bool,
        width: int,
        counts: ProcessCounts,
    ) -> None:
        self._duty = Duty(
            socket=-1, life=-1, folder=str(folder), digest=digest, trusted=trusted, megabytes=declared.megabytes, quiet=quiet
        )  # fmt: skip
        self._declared = declared
        self._width = width
        self._counts = counts
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: Callable[[], None] = _nobody
        self._free: list[Process] = []
        self._closing = False
        # Held while it is taken into an event loop, or closed before it was.
        self._attaching = threading.Lock()
        # How often in a row a process ended, or did not come up, without having answered anything.
        self._failures = 0
        self._joining: set[asyncio.Task[None]] = set()
        self._trouble: KeptError | None = None
        self._all: set[Process] = set()
        self._start_all()

    # --- for who asks, in the event loop -----------------------------------------------------------------------

    def attach(self, changed: Callable[[], None]) -> None:
        """Takes the pool into the running event loop; `changed` is called when a process is free, or there is trouble."""
        self._changed = changed
        with self._attaching:
            self._loop = asyncio.get_running_loop()
        for process in self._all:
            self._join(process)
        self._say_gone()

    @property
    def size(self) -> int:
        """How many processes there are to be."""
        return self._declared.processes

    @property
    def free(self) -> bool:
        """Whether a process can be asked at once."""
        return bool(self._free)

    @property
    def trouble(self) -> KeptError | None:
        """Why none will be free soon, if that is so."""
        return self._trouble

    @property
    def busy_for(self) -> float:
        """Seconds since the process was asked that was asked last."""
        return min((process.asked_for for process in self._all), default=0.0)

    def ask(self, message: bytes, rows: int, answered: Answered) -> None:
        """Asks a free process. `answered` gets an answer of at most so many rows, or why there is none."""
        process = self._free.pop()
        process.ask(message, 8 * self._width * rows, answered, self._declared.seconds)

    def unasked(self) -> None:
        """Notes that nobody waits for a process. Of a closed pool those that are free end."""
        if not self._closing:
            return
        for process in list(self._free):
            self._forget(process)
            process.let_go()
        self._say_gone()

    def close(self) -> None:
        """Ends the processes when they have answered what they were asked, and what waits for them. From any thread."""
        with self._attaching:
            self._closing = True
            if self._loop is None:
                self.end()
                return
        with contextlib.suppress(RuntimeError):
            # When the loop has ended, so have they.
            self._loop.call_soon_threadsafe(self._close_down)

    def end(self) -> None:
        """Ends the processes at once. Not while the event loop runs."""
        self._closing = True
        for process in list(self._all):
            process.end()
            self._forget(process)

    # --- for its processes -------------------------------------------------------------------------------------

    def freed(self, process: Process) -> None:
        """A process can be asked."""
        self._free.append(process)
        if process.answered_any:
            self._failures = 0
        self._trouble = None
        self._changed()

    def ended(self, process: Process) -> None:
        """A process is gone."""
        self._forget(process)
        if self._closing:
            self._close_down()
            return
        self._failures += 1
        _logger.error("process %d of the bundle %s has ended and is started anew", process.pid, self._duty.digest)
        self._restart()

    # --- starting ----------------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        try:
            for _ in range(self._declared.processes):
                self._all.add(Process(self._duty))
                self._counts.add(1)
            for process in self._all:
                process.wait(_LONGEST_START)
        except BaseException:
            self.end()
            raise

    def _join(self, process: Process) -> None:
        assert self._loop is not None  # noqa: S101 - it is attached
        task = self._loop.create_task(process.join(self))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    def _restart(self) -> None:
        assert self._loop is not None  # noqa: S101 - it is attached
        rest = 0.0 if self._failures < 2 else min(_FIRST_REST * 2 ** (self._failures - 2), _LONGEST_REST)
        if rest:
            self._give_up(f"the process of the model has ended {self._failures} times without an answer")
        self._loop.call_later(rest, self._start_one)

    def _start_one(self) -> None:
        assert self._loop is not None  # noqa: S101 - it is attached
        if not self._closing:
            threading.Thread(target=self._start_aside, name="start", daemon=True).start()
            why = f"the process of the model is not up after {_LONGEST_WAIT:g} s"
            self._loop.call_later(_LONGEST_WAIT, self._give_up, why)

    def _give_up(self, why: str) -> None:
        """Has nobody wait while no process is up."""
        if not self._all and not self._closing:
            fix = "See the service's own log; another one is started soon"
            self._trouble = Unavailable(why, where=f"bundle {self._duty.digest}", fix=fix)
            self._changed()

    def _start_aside(self) -> None:
        """Starts a process, which takes seconds, in a thread of its own."""
        assert self._loop is not None  # noqa: S101 - it is attached
        process: Process | None = None
        error: KeptError | None = None
        try:
            process = Process(self._duty)
            process.wait(_LONGEST_START)
        except KeptError as found:
            process, error = None, found
        except Exception as found:  # noqa: BLE001 - whatever it was, it is tried again
            process, error = None, Unavailable(f"it cannot be started: {found!r}", where="process of the model")
        try:
            self._loop.call_soon_threadsafe(self._started, process, error)
        except RuntimeError:
            # The service has ended.
            if process is not None:
                process.end()

    def _started(self, process: Process | None, error: KeptError | None) -> None:
        if process is None:
            _logger.error("a process of the bundle %s did not come up: %s", self._duty.digest, error)
            self._failures += 1
            if not self._closing:
                self._restart()
            return
        if self._closing:
            process.end()
            return
        self._counts.add(1, 1)
        self._all.add(process)
        self._join(process)

    def _close_down(self) -> None:
        self._say_gone()
        self._changed()

    def _say_gone(self) -> None:
        """Has nobody wait for a closed pool when its last process is gone."""
        if self._closing and not self._all:
            what = "this version has been taken out of service"
            self._trouble = Unavailable(what, where=f"bundle {self._duty.digest}")

    def _forget(self, process: Process) -> None:
        if process in self._all:
            self._all.remove(process)
            self._counts.add(-1)
        with contextlib.suppress(ValueError):
            self._free.remove(process)


def _nobody() -> None:
    """Nobody has asked yet."""
