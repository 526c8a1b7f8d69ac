"""A run: one piece of work, with its parameters, its state and its outcome."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from kept.tracking.experiment import Lifecycle
from kept.tracking.points import DatasetInput, ModelOutput, Point

KINDS = ("training", "adoption", "trial", "logged")
"""What runs are: a project's training, the taking over of a client's model, a part of tuning, what a client logs."""


class RunStatus(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.CANCELLED}


SORTED_STATUSES = (
    RunStatus.FAILED,
    RunStatus.FINISHED,
    RunStatus.CANCELLED,
    RunStatus.RUNNING,
    RunStatus.QUEUED,
)
"""In the order in which a search sorts them: by the words that clients have for them."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Its fields but the tags are columns of the table `runs`."""

    id: str
    project: str
    """The Kept project whose pipeline made it; '' for a run that a client logs."""
    kind: str
    """One of `KINDS`."""
    experiment: str = ""
    name: str
    parent: str | None = None
    """The run that this one is a part of, as a trial is of its tuning."""
    status: RunStatus = RunStatus.QUEUED
    reason: str = ""
    """Why it was started."""
    request: dict[str, Any] = {}
    """What it was started with: plain values."""
    tags: dict[str, str] = {}
    code: str | None = None
    """Digest of the code snapshot."""
    environment: str | None = None
    """Digest of the environment it ran in."""
    seed: int = 0
    error: str | None = None
    created_by: str
    user: str = ""
    """Who the client says it runs for."""
    artifact_location: str = ""
    """The address under which its files stand."""
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    deleted_at: datetime | None = None


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value of a run; a value that is not a number is None."""

    run_id: str
    name: str
    step: int = 0
    value: float | None
    at: datetime


class RunData(msgspec.Struct, frozen=True, kw_only=True):
    """A run with what was logged to it."""

    run: Run
    params: dict[str, str]
    latest: list[Point]
    """The latest point of each metric by name: of the largest step, then time, then value."""
    datasets: list[DatasetInput] = []
    model_inputs: list[str] = []
    """Ids of logged models that it read."""
    outputs: list[ModelOutput] = []


class RunDetail(RunData, frozen=True, kw_only=True):
    """A run with what was logged to it, the last value of each metric, and the runs that are parts of it."""

    metrics: dict[str, float | None]
    children: list[Run]


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a search, and the token of the next one, or None when this is the last."""

    runs: list[RunData]
    next_page: str | None = None
