"""Estimates beside the truth: what was thought of each window before its labels came, and what they then said."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from kept.core.listing import list_limit
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.measures.estimates import BLIND_TO
from kept.monitoring import performance
from kept.monitoring.estimate import MONITOR, OUTSIDE, PREFIX, SUPPORT, caution
from kept.monitoring.records import results_of
from kept.monitoring.result import WindowResult

# Rows of results that a window has at most, of those that are read here.
_A_WINDOW = 24


class ShowEstimates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Estimates of one endpoint: about the last `limit` windows, of one metric or all."""

    endpoint: str
    metric: str | None = None
    """As an objective names it, such as accuracy."""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 90


class EstimatedWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one version in one window: estimated, and measured once labels came."""

    start: datetime
    version_id: str
    metric: str
    estimated: float
    low: float | None
    high: float | None
    rows: int
    trusted: bool
    caution: str
    """Why it cannot be trusted, as a sentence; empty where it can."""
    actual: float | None
    """None until labels come."""
    actual_low: float | None
    actual_high: float | None
    labels: int
    difference: float | None
    """Estimated less actual."""
    agrees: bool | None
    """Whether the two intervals meet."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How one metric's estimates have done where labels came, over the estimates that were to be trusted."""

    metric: str
    windows: int
    mean_difference: float
    mean_absolute_difference: float
    agreeing: float
    """The share of windows in which the two intervals meet."""
    verdict: str


class Estimates(msgspec.Struct, frozen=True, kw_only=True):
    """Estimates by window, oldest first, and how they have done."""

    endpoint: str
    windows: tuple[EstimatedWindow, ...]
    compared: tuple[Compared, ...]
    blind_to: str = BLIND_TO


@operation("monitoring.estimates", needs=Permission.VIEW, on="endpoint", audit=Audit.READ)
def show_estimates(workspace: Workspace, actor: Actor, request: ShowEstimates) -> Estimates:
    """What was estimated before labels came, beside what they said."""
    del actor
    limit = list_limit(request.limit, where="estimates") * _A_WINDOW
    with workspace.database.reading() as connection:
        found = results_of(
            connection,
            request.endpoint,
            monitor=MONITOR,
            since=request.since,
            until=request.until,
            limit=limit,
        )
        measured = results_of(
            connection,
            request.endpoint,
            monitor=performance.MONITOR,
            slice_name="",
            since=found[0].start if found else request.since,
            until=request.until,
            limit=limit,
        )
    windows = tuple(beside_the_truth(found, measured, metric=request.metric))
    return Estimates(endpoint=request.endpoint, windows=windows, compared=tuple(compare(windows)))


def beside_the_truth(
    estimates: Iterable[WindowResult], measured: Iterable[WindowResult], *, metric: str | None = None
) -> Iterable[EstimatedWindow]:
    """Each estimate with what was measured of the same version, window and metric."""
    estimates = list(estimates)
    truths = {(one.version_id, one.start, one.metric): one for one in measured if one.value is not None}
    cautions: dict[tuple[str, datetime], str] = {}
    for one in estimates:
        if one.metric in {SUPPORT, OUTSIDE} and one.holds is False and one.value is not None:
            told = (
                caution(support=one.value, remembered=one.rows)
                if one.metric == SUPPORT
                else caution(outside=one.slice, share=one.value)
            )
            cautions.setdefault((one.version_id, one.start), told)
    for one in estimates:
        name = one.metric.removeprefix(PREFIX)
        if one.value is None or name == one.metric or metric not in {None, name}:
            continue
        truth = truths.get((one.version_id, one.start, name))
        warning = cautions.get((one.version_id, one.start), "")
        yield EstimatedWindow(
            start=one.start,
            version_id=one.version_id,
            metric=name,
            estimated=one.value,
            low=one.low,
            high=one.high,
            rows=one.rows,
            trusted=not warning,
            caution=warning,
            actual=truth.value if truth else None,
            actual_low=truth.low if truth else None,
            actual_high=truth.high if truth else None,
            labels=truth.rows if truth else 0,
            difference=one.value - truth.value if truth and truth.value is not None else None,
            agrees=_meet(one, truth) if truth else None,
        )


def compare(windows: Iterable[EstimatedWindow]) -> Iterable[Compared]:
    """How each metric's trusted estimates have done where labels came."""
    by_metric: dict[str, list[EstimatedWindow]] = {}
    for one in windows:
        if one.trusted and one.difference is not None:
            by_metric.setdefault(one.metric, []).append(one)
    for metric, some in sorted(by_metric.items()):
        gaps = [one.difference for one in some if one.difference is not None]
        off = sum(abs(gap) for gap in gaps) / len(gaps)
        mean = sum(gaps) / len(gaps)
        agreeing = sum(one.agrees is True for one in some) / len(some)
        yield Compared(
            metric=metric,
            windows=len(some),
            mean_difference=mean,
            mean_absolute_difference=off,
            agreeing=agreeing,
            verdict=(
                f"estimates of {metric} were {off:.3g} off in the mean of {len(some):,} windows with labels, and met them"
                f" in {agreeing:.0%}"
            ),
        )


def _meet(estimate: WindowResult, truth: WindowResult) -> bool | None:
    ends = (estimate.low, estimate.high, truth.low, truth.high)
    if any(end is None for end in ends):
        return None
    low, high, truly_low, truly_high = (float(end) for end in ends if end is not None)
    return low <= truly_high and truly_low <= high
