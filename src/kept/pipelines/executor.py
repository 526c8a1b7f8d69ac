"""The seam to where steps run, and its keeper: slots of processes on this machine."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from kept.pipelines.job import Cause, Failure, Job, Outcome, Progress
from kept.pipelines.slot import Slot

_IDLE_SECONDS = 30.0
_PATIENCE_SECONDS = 10.0


class Executor(Protocol):
    """Runs steps, each in a process of its own, so many at once.

    A step that raises, crashes, is killed or takes too long fails alone; when the executor's owner is gone, however it
    went, so are its steps.
    """

    def run(self, job: Job, report: Callable[[Progress], None], cancelled: threading.Event) -> Outcome:
        """Waits for a place, does the job, and gives its outcome; it raises nothing for what the step does.

        Args:
            job: one try of a step.
            report: called with an empty `Progress` when the job has its place and begins, then with what the step says.
            cancelled: when it is set, before or meanwhile, the job ends within half a second.
        """
        ...

    def close(self) -> None:
        """Ends what runs; jobs that wait or come later end as cancelled."""
        ...


class ProcessExecutor:
    """So many slots, started when they are needed, kept warm while there is work, ended when there is none.

    A process does several steps, one after another: libraries stay loaded, code that may be edited does not.
    """

    def __init__(self, at_once: int, *, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._places = self._free = max(1, at_once)
        self._idle_seconds = idle_seconds
        self._idle: list[Slot] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._timer: threading.Timer | None = None

    def warm(self) -> None:
        """Starts a process before it is needed."""
        with self._changed:
            if not self._idle and not self._closing.is_set():
                self._idle.append(Slot())

    def run(self, job: Job, report: Callable[[Progress], None], cancelled: threading.Event) -> Outcome:
        """Waits for a free slot and has the job done there."""
        if not self._enter(cancelled):
            return Failure(cause=Cause.CANCELLED, what="it was cancelled")
        slot = None
        try:
            report(Progress())
            slot = self._slot()
            return slot.run(job, report, lambda: cancelled.is_set() or self._closing.is_set())
        finally:
            self._leave(slot)

    def processes(self) -> list[int]:
        """Process ids of slots that wait for work."""
        with self._changed:
            return [slot.pid for slot in self._idle]

    def close(self) -> None:
        """Ends every process."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._free == self._places, timeout=_PATIENCE_SECONDS)
        self._retire(0)

    def _enter(self, cancelled: threading.Event) -> bool:
        with self._changed:
            while not self._free and not cancelled.is_set() and not self._closing.is_set():
                self._changed.wait(0.1)
            if cancelled.is_set() or self._closing.is_set():
                return False
            self._free -= 1
            return True

    def _slot(self) -> Slot:
        with self._changed:
            while self._idle:
                # The one that worked last is the warmest.
                slot = self._idle.pop()
                if slot.usable:
                    return slot
                slot.kill()
        return Slot()

    def _leave(self, slot: Slot | None) -> None:
        with self._changed:
            self._free += 1
            if slot is not None and slot.usable:
                self._idle.append(slot)
            self._changed.notify_all()
            if self._timer is None and self._idle_seconds > 0:
                self._arm(self._idle_seconds)
        if self._closing.is_set():
            self._retire(0)

    def _arm(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        self._retire(self._idle_seconds)
        with self._changed:
            self._timer = None
            if self._idle and not self._closing.is_set():
                self._arm(self._idle_seconds)

    def _retire(self, seconds: float) -> None:
        now = time.monotonic()
        with self._changed:
            old = [slot for slot in self._idle if now - slot.idle_since >= seconds]
            self._idle = [slot for slot in self._idle if slot not in old]
            if self._closing.is_set() and self._timer is not None:
                self._timer.cancel()
        for slot in old:
            slot.kill()


def _fits(executor: ProcessExecutor) -> Executor:
    return executor
