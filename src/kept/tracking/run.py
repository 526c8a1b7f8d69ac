"""A run: one piece of work that Kept did, with what it was given and how it ended."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


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


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Its fields are the columns of the table `runs`."""

    id: str
    project: str
    kind: str
    """`training`, `trial`, ..."""
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
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value of a run; a value that is not a number is None."""

    run_id: str
    name: str
    step: int = 0
    value: float | None
    at: datetime


class RunDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its parameters, the last value of each metric, and the runs that are parts of it."""

    run: Run
    params: dict[str, str]
    metrics: dict[str, float | None]
    children: list[Run]
