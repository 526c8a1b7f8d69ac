"""Structs that the training steps pass to one another and to later steps."""

from typing import Any

import msgspec

from kept.packaging.signature import Label
from kept.plan.specs import Task


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a run: versions that can be read for ever."""

    dataset: int
    """Number of the dataset's version."""
    fingerprint: str
    rows: int
    quarantined: int
    views: dict[str, int]
    """Number of each feature view's version."""


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """What the columns of the joined rows are."""

    features: tuple[str, ...]
    categorical: tuple[str, ...]
    label: str
    event_time: str | None
    task: Task
    classes: tuple[Label, ...]
    """Of two, the second is the positive one; empty for regression."""


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle of a run, as it was measured."""

    bundle: str
    """Its digest: what is judged, registered and served."""
    runtime: str
    exported: bool
    not_exported: str
    size_mb: float
    latency_p50_ms: float
    latency_p99_ms: float
    parity: dict[str, Any]
