"""Policies: when a model is retrained, on what, and how its successor is released."""

from datetime import timedelta
from itertools import pairwise

import msgspec

from kept.core.durations import duration
from kept.core.errors import Invalid


class Drift(msgspec.Struct, frozen=True, kw_only=True, tag="drift"):
    """The inputs or the predictions have drifted, by the drift monitor's budget."""


class Decay(msgspec.Struct, frozen=True, kw_only=True, tag="decay"):
    """The loss on labelled predictions has risen, by the label detector's budget."""

    tolerance: float = 0.0
    """Rise of the mean loss above the reference that does not matter."""


class Broken(msgspec.Struct, frozen=True, kw_only=True, tag="broken"):
    """An objective does not hold on labelled predictions."""

    windows: int = 3
    """Windows in a row that must fail, where `over` is not given."""
    over: timedelta | None = None
    """Length of event time that ends with each window, over which objectives are measured as a whole."""


class Every(msgspec.Struct, frozen=True, kw_only=True, tag="schedule"):
    """So much event time has passed since the last training."""

    interval: timedelta


class NewData(msgspec.Struct, frozen=True, kw_only=True, tag="data"):
    """So many labelled rows have come since the last training."""

    rows: int


Trigger = Drift | Decay | Broken | Every | NewData


class Retrain(msgspec.Struct, frozen=True, kw_only=True):
    """When to train again, and on which rows."""

    on: tuple[Trigger, ...] = ()
    cooldown: timedelta = timedelta(days=7)
    """Event time after a training in which no trigger counts."""
    debounce: timedelta = timedelta(0)
    """Event time for which a trigger must have been raised before it counts."""
    window: timedelta | None = None
    """Length of event time to train on; None for all rows."""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """How a version takes over an endpoint."""

    canary: tuple[float, ...] = (0.1, 0.5, 1.0)
    """Shares of the traffic, one step after another; the last is 1."""
    step: timedelta = timedelta(hours=1)
    """Shortest event time in each step."""
    step_rows: int = 200
    """Fewest predictions of the candidate in each step."""
    timeout: timedelta = timedelta(days=7)
    """Event time after which a step without a decision is rolled back for want of traffic."""
    approvals: int = 0
    """People who must approve before any traffic."""
    max_error_rate: float = 0.01
    """Share of failed requests of the candidate above which it is rolled back."""
    max_latency_ratio: float = 3.0
    """Median latency of the candidate over the champion's above which it is rolled back, if it is 1 ms longer at least."""
    margin: float = 0.02
    """Worsening of the mean loss (in [0, 1]) that would not matter."""
    alpha: float = 0.05
    """Chance of a wrong decision on quality, however often it is looked at."""


def drift() -> Drift:
    """Train when the drift monitor alarms."""
    return Drift()


def decay(*, tolerance: float = 0.0) -> Decay:
    """Train when the loss on labelled predictions rises by more than the tolerance."""
    return Decay(tolerance=tolerance)


def broken(*, windows: int = 3, over: str | timedelta | None = None) -> Broken:
    """Train when an objective fails in so many windows in a row; or over the last `7d`, say, taken together."""
    if windows < 1:
        raise Invalid(f"{windows} is not a number of windows", where="broken", fix="Write broken(windows=3)")
    return Broken(windows=windows, over=None if over is None else duration(over, where="broken(over)"))


def every(interval: str | timedelta) -> Every:
    """Train when so much event time has passed since the last training, for example `30d`."""
    return Every(interval=duration(interval, where="every"))


def new_data(rows: int) -> NewData:
    """Train when so many labelled rows have come since the last training."""
    if rows < 1:
        raise Invalid(f"{rows} is not a number of rows", where="new_data", fix="Write new_data(10_000)")
    return NewData(rows=rows)


def check_canary(canary: tuple[float, ...]) -> tuple[float, ...]:
    """The steps, when they rise from above 0 to 1."""
    rising = all(low < high for low, high in pairwise(canary))
    if not canary or not rising or canary[0] <= 0 or canary[-1] != 1:
        fix = "Write rising shares that end in 1, for example canary=[0.05, 0.25, 1.0]"
        raise Invalid(f"{list(canary)} are not steps of a canary", where="project.release", fix=fix)
    return canary
