"""A logged model: the files of a model that a run or a person put down, with what is known of them."""

from datetime import datetime
from enum import StrEnum

import msgspec

from kept.tracking.experiment import Lifecycle
from kept.tracking.points import RunPoint


class ModelStatus(StrEnum):
    """How far the putting down of a logged model is."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One logged model. Its id is `m-` and 32 hexadecimal digits."""

    id: str
    experiment: str
    name: str
    artifact_location: str
    run: str | None = None
    """The run that made it."""
    type: str = ""
    status: ModelStatus = ModelStatus.PENDING
    status_message: str | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    metrics: list[RunPoint] = []
    """Every point that was measured on it."""
    created_by: str = ""
    created_at: datetime
    updated_at: datetime


class LoggedModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a search, and the token of the next one, or None when this is the last."""

    models: list[LoggedModel]
    next_page: str | None = None
