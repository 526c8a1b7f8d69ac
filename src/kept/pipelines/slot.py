"""A slot: one process that does one step at a time, and can be ended at any moment without harm to others."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path

import msgspec

from kept.pipelines.channel import Channel
from kept.pipelines.job import Answer, Cause, Failure, Job, Outcome, Output, Progress

_LOOK_SECONDS = 0.1
_LARGEST_BYTES = 600_000_000
_ON_MEMORY = "Give the machine more memory, or the step less data at a time"
_IGNORED = "The step's log says more"


class Slot:
    """A process of our own making.

    It is started with exec, not forked: it holds nothing of the worker's memory, threads or locks, and the caller's
    main module is not imported again. It leads a group of its own, so it ends together with whatever it started, and
    a keyboard interrupt reaches the worker only.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "kept.pipelines.child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                # Sets of texts have an order that depends on this: equal inputs shall give equal outputs.
                env={**os.environ, "PYTHONHASHSEED": "0"},
            )
        self._channel = Channel(ours)
        self._ended = False
        self.pid = self._process.pid
        self.idle_since = time.monotonic()

    @property
    def usable(self) -> bool:
        """Whether it can take another job."""
        return not self._ended and self._process.poll() is None

    def run(self, job: Job, report: Callable[[Progress], None], unwanted: Callable[[], bool]) -> Outcome:
        """Has the job done, until it is unwanted. A process that was interrupted or grew large is ended."""
        scratch = Path(job.scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        Path(job.log).parent.mkdir(parents=True, exist_ok=True)
        try:
            outcome = self._watch(job, report, unwanted)
        except BaseException:
            self.kill()
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if not _healthy(outcome):
            self.kill()
        self.idle_since = time.monotonic()
        return outcome

    def kill(self) -> None:
        """Ends the process and everything it started, at once."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._channel.close()
        self._said.close()

    def _watch(self, job: Job, report: Callable[[Progress], None], unwanted: Callable[[], bool]) -> Outcome:
        deadline = None if job.timeout is None else time.monotonic() + job.timeout
        with contextlib.suppress(OSError):  # a process that died is found out below
            self._channel.send(job)
        while True:
            if unwanted():
                return Failure(cause=Cause.CANCELLED, what="it was cancelled")
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
            if left <= 0:
                fix = "Give it a longer timeout, or less to do"
                return Failure(cause=Cause.TIMEOUT, what=f"it took longer than {job.timeout:g} s", fix=fix)
            if not wait([self._channel.fileno()], left):
                if self._process.poll() is not None:
                    return self._died()
                continue
            message = self._channel.receive()
            if message is None:
                return self._died()
            answer: Answer = msgspec.json.decode(message, type=Answer)
            if not isinstance(answer, Progress):
                return answer
            report(answer)

    def _died(self) -> Failure:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            what = "its process was killed, most likely because the machine ran out of memory"
            return Failure(cause=Cause.DIED, what=what, fix=_ON_MEMORY)
        if code < 0:
            what = f"its process was ended by signal {signal.Signals(-code).name}"
            if -code in {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS}:
                what += ": a library crashed, often for want of memory"
            return Failure(cause=Cause.DIED, what=what, fix=_IGNORED)
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        return Failure(cause=Cause.DIED, what=f"its process ended with exit code {code}{said}", fix=_IGNORED)


def _healthy(outcome: Outcome) -> bool:
    if isinstance(outcome, Output):
        return outcome.memory_bytes <= _LARGEST_BYTES
    return outcome.cause is Cause.RAISED
