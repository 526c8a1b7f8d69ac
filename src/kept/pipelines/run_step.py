"""The state of one step of a run: how far it has come, and its result."""

from datetime import datetime
from enum import StrEnum

import msgspec

from kept.pipelines.job import Failure


class StepStatus(StrEnum):
    """Where a step of a run is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    CACHED = "cached"
    """Not run: an earlier output is still right."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not run: a step failed, or the run was cancelled."""


class RunStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one run. Its fields are the columns of the table `run_steps`."""

    run_id: str
    step: str
    position: int
    status: StepStatus = StepStatus.WAITING
    attempt: int = 0
    """How many times it was begun, interruptions of the worker included."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cache_key: str | None = None
    output: str | None = None
    log: str | None = None
    """Digest of what it printed; while it runs that is a file in the workspace."""
    done: float | None = None
    total: float | None = None
    message: str | None = None
    failure: Failure | None = None

    @property
    def has_output(self) -> bool:
        """Whether there is an output that later steps can receive."""
        return self.output is not None and self.status in {StepStatus.FINISHED, StepStatus.CACHED}
