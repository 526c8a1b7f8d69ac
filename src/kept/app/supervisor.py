"""Starting web, work and serve, keeping them up, and stopping them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_SUPERVISED = "KEPT_SUPERVISED"
_GRACE_SECONDS = 20.0
_LONGEST_PAUSE_SECONDS = 5.0
_STEADY_SECONDS = 30.0
_LARGEST_LOG = 16 << 20
_LAST_BYTES = 4096


@dataclass
class Child:
    """A process that is to be up."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    not_before: float = 0.0
    restarts: int = 0
    log: IO[bytes] | None = field(default=None, repr=False)
    begun: int = 0
    """Where in the log this start of it begins."""


class Supervisor:
    """Keeps processes up: one that ends is started again, at once the first time, then with a growing pause.

    Each holds the reading end of a pipe from here as its standard input; when this process is gone, however it went,
    the pipe closes and the process stops by itself.
    """

    def __init__(self, logs: Path, ended: Callable[[str, int], None] = lambda _name, _code: None) -> None:
        self._logs = logs
        self._children: list[Child] = []
        self._ended = ended
        self._stopping = threading.Event()
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, arguments: Sequence[str], *, module: str = "kept") -> None:
        """Starts `python -m MODULE ARGUMENTS` and keeps it up."""
        child = Child(name=name, command=[sys.executable, "-m", module, *arguments])
        self._children.append(child)
        self._launch(child)

    def pid(self, name: str) -> int | None:
        """The process now up under a name."""
        for child in self._children:
            if child.name == name and child.process is not None:
                return child.process.pid
        return None

    def last_words(self, name: str) -> str:
        """The last line that a process has written since it was started; '' when it has written none."""
        child = next(one for one in self._children if one.name == name)
        with (self._logs / f"{name}.log").open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(child.begun, size - _LAST_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def watch(self) -> None:
        """Restarts what ends, until `stop` is called."""
        while not self._stopping.is_set():
            self.look()

    def look(self, *, wait: float = 0.1) -> None:
        """Restarts what has ended, once, and waits a moment (in seconds)."""
        for child in self._children:
            self._mind(child)
            self._trim(child)
        self._stopping.wait(wait)

    def stop(self) -> None:
        """Asks every process to finish what is in flight and end; ends those that do not within 20 seconds."""
        self._stopping.set()
        running = [child.process for child in self._children if child.process and child.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self._children:
            if child.process is not None:
                _close(child.process)
            if child.log is not None:
                child.log.close()

    def _mind(self, child: Child) -> None:
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return
            self._ended(child.name, code)
            steady = time.monotonic() - child.started > _STEADY_SECONDS
            child.pause = 0.0 if steady else min(_LONGEST_PAUSE_SECONDS, child.pause * 2 or 0.25)
            child.not_before = time.monotonic() + (0.0 if child.restarts == 0 else child.pause)
            _close(child.process)
            child.process = None
        if time.monotonic() >= child.not_before and not self._stopping.is_set():
            child.restarts += 1
            self._launch(child)

    def _trim(self, child: Child) -> None:
        """Keeps a log from filling the disk: what it holds goes to `NAME.log.1`, in the place of what was there."""
        if child.log is None or child.log.closed or os.fstat(child.log.fileno()).st_size <= _LARGEST_LOG:
            return
        path = self._logs / f"{child.name}.log"
        # Copied and emptied, not renamed: the process goes on writing to the file it was given, at its end.
        with contextlib.suppress(OSError):
            shutil.copyfile(path, path.with_suffix(".log.1"))
        os.ftruncate(child.log.fileno(), 0)
        child.begun = 0

    def _launch(self, child: Child) -> None:
        if child.log is None:
            child.log = (self._logs / f"{child.name}.log").open("ab")
        child.begun = os.fstat(child.log.fileno()).st_size
        child.process = subprocess.Popen(
            child.command,
            stdin=subprocess.PIPE,
            stdout=child.log,
            stderr=subprocess.STDOUT,
            env=os.environ | {_SUPERVISED: "1"},
            # Ctrl-C is for the supervisor, which then stops the others in order.
            start_new_session=True,
        )
        child.started = time.monotonic()


def _close(process: subprocess.Popen[bytes]) -> None:
    """Gives back the writing end of an ended process's standard input."""
    if process.stdin is not None:
        process.stdin.close()


def stop_with_parent() -> None:
    """In a supervised process: end it, as if asked to, when its supervisor is gone."""
    if os.environ.pop(_SUPERVISED, None) is None:
        return

    def wait() -> None:
        # Not through sys.stdin: its lock would be held when the interpreter ends.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
