"""Running a worker's recurring jobs, so that one that fails is logged and retried with back-off while the others go on."""

import logging
import time
from collections.abc import Callable

from polars.exceptions import PanicException

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0

_logger = logging.getLogger("kept.worker")


class Waiting(Exception):
    """Raised by a job that another process does now."""


class Jobs:
    """The jobs of one worker, each by its name."""

    def __init__(self) -> None:
        self.failing: dict[str, str] = {}
        """The jobs that failed when they were last run, with the error."""
        self._pauses: dict[str, tuple[float, float]] = {}

    def run(self, name: str, job: Callable[[], object]) -> None:
        """Runs a job, unless it failed a short time ago. Whatever it raises is logged."""
        not_before, pause = self._pauses.get(name, (0.0, 0.0))
        if time.monotonic() < not_before:
            return
        try:
            job()
        except (Exception, PanicException) as error:  # noqa: BLE001 - whatever it is, it is logged and tried again
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2 or FIRST_PAUSE_SECONDS)
            self._pauses[name] = (time.monotonic() + pause, pause)
            self._log(name, error)
        else:
            self._pauses.pop(name, None)
            if self.failing.pop(name, None) is not None:
                _logger.info("%s works again", name)

    def _log(self, name: str, error: Exception | PanicException) -> None:
        """With the traceback the first time, in one line when the same happens again."""
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, Waiting):
            _logger.info("%s is waiting: %s", name, error)
        elif self.failing.get(name) == said:
            _logger.warning("%s failed again: %s", name, said)
        else:
            self.failing[name] = said
            _logger.error("%s failed", name, exc_info=error)
