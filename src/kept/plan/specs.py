"""What a project declares of its data, features, models and steps: the declaration and the function it stands on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from kept.plan.search import Space

Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset: a function that gives a frame, and what its columns mean."""

    name: str
    function: Callable[..., Any]
    key: tuple[str, ...]
    """Columns that together name a row. Empty: rows have no key."""
    event_time: str | None
    """Column of the moment a row is about."""
    label: str
    label_time: str | None
    """Column of the moment from which the label is known."""
    label_delay: timedelta
    """Where there is no such column: how long after the event the label is known."""
    features: tuple[str, ...] | None
    """Columns the model sees; None for all but key, times, label and ignored ones."""
    ignore: tuple[str, ...]
    mode: Literal["append", "replace"]
    max_bad_share: float
    """Share of rows that may be set aside before the pipeline stops."""
    source: str
    """Where the rows come from, for people."""


@dataclass(frozen=True)
class FeatureViewSpec:
    """A feature view: rows about an entity, true from an event time on, known from a later moment on."""

    name: str
    function: Callable[..., Any]
    entity: tuple[str, ...]
    event_time: str
    known_at: str
    ttl: timedelta | None
    """How old a row may be, by event time, to be joined; None for any age."""


@dataclass(frozen=True)
class ModelSpec:
    """A model: a function of hyperparameters that gives an estimator, and how they are searched."""

    name: str
    function: Callable[..., Any]
    task: Task
    search: dict[str, Space] = field(default_factory=dict)
    trials: int = 10
    tune_metric: str | None = None
    """Metric that trials are compared by; None for the task's proper score (log loss, squared error)."""


@dataclass(frozen=True)
class StepSpec:
    """A step that replaces a standard one of its name, or comes in addition."""

    name: str
    function: Callable[..., Any]
    retries: int = 0
    timeout: timedelta | None = None
    version: str = ""
    cache: bool = True
