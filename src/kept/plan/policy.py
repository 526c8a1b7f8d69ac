"""Policies: when a model is retrained, on what, and how its successor is released."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import pairwise
from math import isclose, isfinite, isnan
from typing import Any, Literal, cast, get_args

import msgspec

from kept.core.durations import duration
from kept.core.errors import Invalid

# Each waits as long as all before it together: the tenth waits for 512 cool-downs.
MOST_FOLLOW_UPS = 10


class Drift(msgspec.Struct, frozen=True, kw_only=True, tag="drift"):
    """The inputs have drifted, by the drift monitor's budget. Drift of predictions alone is a finding that people are told of."""


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


class Estimated(msgspec.Struct, frozen=True, kw_only=True, tag="estimated"):
    """An objective does not hold by the estimate that is made before labels come, wherever in its interval the truth lies."""

    windows: int = 3
    """Windows in a row, of those that have an estimate which can be trusted: one without says neither, and is passed over."""


class Every(msgspec.Struct, frozen=True, kw_only=True, tag="schedule"):
    """So much event time has passed since the last training."""

    interval: timedelta


class NewData(msgspec.Struct, frozen=True, kw_only=True, tag="data"):
    """So many labelled rows have come since the last training."""

    rows: int


Trigger = Drift | Decay | Broken | Estimated | Every | NewData


class Retrain(msgspec.Struct, frozen=True, kw_only=True):
    """When to train again, and on which rows."""

    on: tuple[Trigger, ...] = ()
    cooldown: timedelta = timedelta(days=7)
    """Event time after a training in which no trigger counts."""
    debounce: timedelta = timedelta(0)
    """Event time for which a trigger must have been raised before it counts."""
    window: timedelta | None = None
    """Length of event time to train on; None for all rows."""
    since_change: timedelta | None = None
    """Train on what has come since the change that the detector found, but on so much event time at least. None: by `window`."""
    stretches: tuple[timedelta, ...] = ()
    """Of what is there, learn from all or from the newest of one of these lengths: what predicts the validation rows best."""
    average: bool = False
    """Answer the mean of a model of each of the stretches and of all, the more of one the better it predicts the validation rows."""
    at_most: int | None = None
    """Trainings of the loop's own accord in each `per`; None for as many as there are reasons for."""
    per: timedelta = timedelta(days=90)
    """Event time in which there are `at_most`."""
    follow_up: int = 0
    """Trainings that follow one that an alarm set off, each when what has come since has doubled: after one cool-down, three, seven."""
    dry_run: bool = False
    """Decide and report, and train nothing."""


Operator = Literal["<", "<=", ">", ">=", "==", "!=", "in", "missing"]


class FallbackRule(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered where the value of one input meets a condition."""

    column: str
    operator: Operator
    value: float | bool | str | tuple[float | bool | str, ...] | None = None
    """What the input is held against; several for `in`, None for `missing`."""
    answer: float | str
    """A probability, a value, or a class."""


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint answers in place of a version that cannot."""

    on: tuple[Literal["error", "timeout", "range"], ...] = ("error",)
    """A failed prediction; one that would be late; an input outside of what was seen in training."""
    previous: bool = True
    """Ask the version before it."""
    rules: tuple[FallbackRule, ...] = ()
    """Answered when no version is there to ask: each row by the first rule that holds for it, else by the constant."""
    constant: float | str | None = None
    """Answered when no rule holds for any row: a probability, a value, or a class."""
    timeout_ms: float | None = None


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
    strategy: Literal["canary", "blue_green"] = "canary"
    """By steps; or all traffic at once after a look at its answers, with the version before held ready."""
    shadow: timedelta | None = None
    """Event time in which it gets a copy of the traffic before it answers any; None for no shadow."""
    shadow_rows: int = 0
    """Fewest rows that it must have been asked about as a shadow."""
    max_disagreement: float | None = None
    """Share of rows on which a shadow may answer otherwise than the champion; None for any."""
    challenger: float | None = None
    """Share of the challenger in an A/B test that takes the place of the canary; None for no test."""
    on_timeout: Literal["roll_back", "hold"] = "roll_back"
    """What happens when a step's time runs out: back to the champion, or everything stays until a person decides."""
    quality_required: bool = False
    """Whether it takes all traffic only when labels have shown that it is no worse than the champion, within `margin`."""
    fallback: Fallback | None = None


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


def estimated(*, windows: int = 3) -> Estimated:
    """Train when an objective surely fails by its estimate in so many windows in a row: where labels are far away.

    A window that was asked nothing, or whose estimate cannot be trusted, is passed over: it neither counts nor ends the row.
    """
    if windows < 1:
        raise Invalid(f"{windows} is not a number of windows", where="estimated", fix="Write estimated(windows=3)")
    return Estimated(windows=windows)


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


def check_shadow(
    shadow: str | timedelta | int | None, rows: int | None, step_rows: int
) -> tuple[timedelta | None, int]:
    """How long a shadow must have run, and how many rows it must have answered; a number alone is one of rows."""
    where = "project.release(shadow)"
    if shadow is None:
        if rows is not None:
            raise Invalid("shadow_rows without a shadow", where=where, fix='Write shadow="24h", or shadow=5_000')
        return None, 0
    if isinstance(shadow, int):
        length, rows = timedelta(0), shadow if rows is None else rows
    else:
        length, rows = duration(shadow, where=where), step_rows if rows is None else rows
    if isinstance(shadow, bool) or rows < 1:
        raise Invalid(f"{rows} is not a number of rows", where=where, fix='Write shadow="24h", or shadow=5_000')
    return length, rows


def check_split(ab: Mapping[str, float] | None) -> float | None:
    """The challenger's share of an A/B test whose two shares add up to 1."""
    if ab is None:
        return None
    fair = set(ab) == {"champion", "challenger"} and all(0 < share < 1 for share in ab.values())
    if not fair or not isclose(sum(ab.values()), 1.0, abs_tol=1e-9):
        fix = 'Write ab={"champion": 0.5, "challenger": 0.5}'
        raise Invalid(f"{dict(ab)} is no split in two", where="project.release(ab)", fix=fix)
    return float(ab["challenger"])


def fall_back(
    *,
    on: Iterable[str] = ("error",),
    previous: bool = True,
    rules: Iterable[FallbackRule] = (),
    constant: float | str | None = None,
    timeout: str | timedelta | None = None,
) -> Fallback:
    """Answers in place of a version that fails (`error`), would be late (`timeout`) or is asked outside of its training's `range`.

    The version before it answers, where there is one and `previous` is not switched off; else the first of the rules
    (`kept.when`) that holds for a row, and the constant where none does: the probability of the second class, the value of
    a regression, or a class as text.
    """
    where = "fall_back"
    occasions: tuple[Any, ...] = tuple(on)
    wrong = [one for one in occasions if one not in {"error", "timeout", "range"}]
    if wrong or not occasions:
        fix = 'Write on=["error", "timeout", "range"], or some of them'
        raise Invalid(f"{wrong[0] if wrong else list(occasions)!r} is no occasion", where=where, fix=fix)
    declared = tuple(rules)
    if stray := [one for one in declared if not isinstance(one, FallbackRule)]:
        raise Invalid(
            f"{stray[0]!r} is no rule", where=where, fix='Write rules=[kept.when("distance", ">", 500, answer=1)]'
        )
    if not previous and constant is None and not declared:
        fix = "Give rules or a constant, or let the version before answer"
        raise Invalid("there is nothing to fall back to", where=where, fix=fix)
    number = None if constant is None else _constant(constant, where)
    if (timeout is not None) != ("timeout" in occasions):
        fix = 'Write on=["timeout"], timeout="0.05s"'
        raise Invalid("the occasion timeout and a time for it belong together", where=where, fix=fix)
    limit = None if timeout is None else duration(timeout, where=where) / timedelta(milliseconds=1)
    return Fallback(on=occasions, previous=previous, rules=declared, constant=number, timeout_ms=limit)


def when(
    column: str,
    operator: str,
    value: float | bool | str | Iterable[float | bool | str] | None = None,
    *,
    answer: float | str,
) -> FallbackRule:
    """A rule of a fallback: `when("distance", ">", 5000, answer=0.9)`; `==`, `!=`, `<`, `<=`, `>`, `>=`, `in` and `missing`.

    A missing value meets only `when("distance", "missing", answer=0.5)`.
    """
    where = f"when({column!r})"
    if operator not in get_args(Operator):
        fix = f"Write one of {', '.join(get_args(Operator))}"
        raise Invalid(f"{operator!r} compares nothing", where=where, fix=fix)
    several = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else None
    known = [value] if several is None else list(several)
    plain = all(
        isinstance(one, (bool, int, float, str)) and not (isinstance(one, float) and isnan(one)) for one in known
    )
    fits = {"missing": value is None, "in": bool(several) and plain}.get(operator, several is None and plain)
    if operator in {"<", "<=", ">", ">="} and isinstance(value, (bool, str)):
        fits = False
    if not fits:
        fix = 'Write when("distance", ">", 500, ...), when("carrier", "in", ["AA", "UA"], ...) or when("distance", "missing", ...)'
        raise Invalid(f"a value cannot be {operator} {value!r}", where=where, fix=fix)
    held: Any = value if several is None else several
    return FallbackRule(column=column, operator=cast("Operator", operator), value=held, answer=_constant(answer, where))


def _constant(given: float | str, where: str) -> float | str:
    if (
        isinstance(given, bool)
        or not isinstance(given, (int, float, str))
        or (isinstance(given, float) and not isfinite(given))
    ):
        raise Invalid(f"{given!r} is not a constant", where=where, fix="Give a finite number, or a class as text")
    return given if isinstance(given, str) else float(given)
