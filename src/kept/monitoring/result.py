"""What monitors keep: their results by window, and the state they go on from."""

from datetime import datetime

import msgspec


class WindowResult(msgspec.Struct, frozen=True, kw_only=True):
    """One number about one window of an endpoint, or of one version of its model."""

    endpoint: str
    version_id: str
    start: datetime
    """Where the window begins, in event time."""
    monitor: str
    """drift, columns, quality, service, performance, decay, estimate, fairness, predictions, skew."""
    metric: str
    slice: str = ""
    """`column=value`, or a column alone; empty for all rows."""
    value: float | None
    low: float | None = None
    high: float | None = None
    rows: int
    holds: bool | None = None
    """Whether the objective or the budget it is held to holds; None where there is none."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor remembered before a window, so that it can go on from there again when rows come late to it."""

    endpoint: str
    monitor: str
    start: datetime
    """Where the window begins."""
    state: bytes


class MonitorState(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor must remember to go on exactly where it was, in any process."""

    endpoint: str
    monitor: str
    version_id: str
    watermark: datetime | None
    """End of the last window it has dealt with, in event time."""
    state: bytes
    updated_at: datetime
