"""The context that a step receives: its run, its workspace, its log and its progress."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.pipelines.job import Progress

_SECONDS_BETWEEN = 0.1


@dataclass(frozen=True)
class StepContext:
    """Handed to the parameter `context` of a step."""

    run_id: str
    project: str
    step: str
    attempt: int
    """1, 2, 3, ...: an effect that must happen once needs a key of its own, such as the run's id."""
    seed: int
    workspace: Workspace
    actor: Actor
    scratch: Path
    """A folder for files of this try; it is removed when the try ends."""
    report: Callable[[Progress], None]
    _last: list[float] = field(default_factory=lambda: [0.0], repr=False)

    def log(self, text: str) -> None:
        """Adds a line to the step's log, where everything printed goes, too."""
        print(text, flush=True)  # noqa: T201 - standard output is the step's log

    def progress(self, done: float | None = None, total: float | None = None, text: str = "") -> None:
        """Says how far the step has come. Calls in quick succession are thinned out; the last of a count is kept."""
        now = time.monotonic()
        if now - self._last[0] >= _SECONDS_BETWEEN or (done is not None and done == total):
            self._last[0] = now
            self.report(Progress(done=done, total=total, text=text))
