"""Reading what monitors have found: results by window, and each monitor's state."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from kept.core.listing import list_limit
from kept.deployment.records import current_route
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.measures.arrays import decode
from kept.monitoring import attribution, drift, predictions
from kept.monitoring.drift import DriftWatch
from kept.monitoring.labelled_state import STATE as LABELLED
from kept.monitoring.labelled_state import LabelledState
from kept.monitoring.predictions import PredictionWatch
from kept.monitoring.records import results_of, states_of
from kept.monitoring.result import MonitorState, WindowResult
from kept.monitoring.traffic import STATE as TRAFFIC
from kept.monitoring.traffic import TrafficState
from kept.monitoring.watch import STREAM

_MOST_WINDOWS = 50_000

DETECTORS = (drift.MONITOR, attribution.MONITOR, predictions.MONITOR)
"""Detectors of windows, whose values stand among the results."""


class ShowWindows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which results: of one endpoint, the newest `limit` that fit everything given."""

    endpoint: str
    monitor: str | None = None
    """drift, columns, quality, service, performance, decay, estimate, fairness, predictions, attribution, skew."""
    metric: str | None = None
    slice: str | None = None
    """`column=value`, a column, or empty for all rows; None for any."""
    version_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 1_000


class ShowMonitors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The monitors of one endpoint."""

    endpoint: str


class DetectorState(msgspec.Struct, frozen=True, kw_only=True):
    """How a detector stands. It alarms when its value reaches the budget."""

    version_id: str
    value: float | None
    """At its last window; None before the first."""
    budget: float
    seen: int
    """Windows since it was started; of decay labels, unless those of a window hang together."""
    alarmed: bool
    promise: str


class MonitorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the monitors of an endpoint stand. Times are event times."""

    endpoint: str
    watermark: datetime | None
    """The newest event time of a shipped prediction."""
    traffic_until: datetime | None
    labelled_until: datetime | None
    drift: DetectorState | None
    attribution: DetectorState | None = None
    """Of contributions, where they are watched."""
    decay: DetectorState | None
    predictions: DetectorState | None = None
    """Of what the champion says, once its first windows are known."""
    standing: tuple[str, ...]
    """Rules and objectives that the last windows broke."""


@operation("monitoring.windows", needs=Permission.VIEW, on="endpoint", audit=Audit.READ)
def show_windows(workspace: Workspace, actor: Actor, request: ShowWindows) -> list[WindowResult]:
    """Results by window, oldest first."""
    del actor
    limit = list_limit(request.limit, where="monitoring", most=_MOST_WINDOWS)
    with workspace.database.reading() as connection:
        return results_of(
            connection,
            request.endpoint,
            monitor=request.monitor,
            metric=request.metric,
            slice_name=request.slice,
            version_id=request.version_id,
            since=request.since,
            until=request.until,
            limit=limit,
        )


@operation("monitoring.status", needs=Permission.VIEW, on="endpoint", audit=Audit.READ)
def show_monitors(workspace: Workspace, actor: Actor, request: ShowMonitors) -> MonitorStatus:
    """How far the monitors of an endpoint have come, and how the detectors of the version that serves stand."""
    del actor
    with workspace.database.reading() as connection:
        route = current_route(connection, request.endpoint)
        states = {one.monitor: one for one in states_of(connection, request.endpoint)}
        values = {
            monitor: found[-1].value
            for monitor in DETECTORS
            if (found := results_of(connection, request.endpoint, monitor=monitor, metric=monitor, limit=1))
        }
    return monitor_status(request.endpoint, route.route.champion.version_id if route else None, states, values)


def monitor_status(
    endpoint: str, champion: str | None, states: Mapping[str, MonitorState], values: Mapping[str, float | None]
) -> MonitorStatus:
    """How the monitors of an endpoint stand.

    Args:
        endpoint: whose.
        champion: the version that serves; None where nothing does.
        states: what its monitors remember, by monitor.
        values: the last value of each of `DETECTORS`.
    """
    traffic = decode(states[TRAFFIC].state, TrafficState) if TRAFFIC in states else None
    labelled = decode(states[LABELLED].state, LabelledState) if LABELLED in states else None
    standing = (traffic.standing if traffic else {}) | (labelled.champion.standing if labelled else {})
    detectors = {
        "drift": _of_windows(traffic.drift if traffic else None, values.get(drift.MONITOR)),
        "attribution": _of_windows(traffic.attribution if traffic else None, values.get(attribution.MONITOR)),
        "decay": _decay(labelled),
        "predictions": _of_windows(traffic.predictions if traffic else None, values.get(predictions.MONITOR)),
    }
    # Until its first window has ended, a new champion has none: what was found on another says nothing of it.
    current = {name: one for name, one in detectors.items() if one and champion in {None, one.version_id}}
    return MonitorStatus(
        endpoint=endpoint,
        watermark=states[STREAM].watermark if STREAM in states else None,
        traffic_until=states[TRAFFIC].watermark if TRAFFIC in states else None,
        labelled_until=states[LABELLED].watermark if LABELLED in states else None,
        drift=current.get("drift"),
        attribution=current.get("attribution"),
        decay=current.get("decay"),
        predictions=current.get("predictions"),
        standing=tuple(name for name, away in standing.items() if not away),
    )


def _of_windows(watch: DriftWatch | PredictionWatch | None, value: float | None) -> DetectorState | None:
    if watch is None or watch.detector is None:
        return None
    return DetectorState(
        version_id=watch.version_id,
        value=value if watch.detector.windows else None,
        budget=watch.detector.budget,
        seen=watch.detector.windows,
        alarmed=watch.alarmed,
        promise=f"at most one false alarm in {watch.detector.budget:g} windows",
    )


def _decay(state: LabelledState | None) -> DetectorState | None:
    watch = state.champion if state else None
    if watch is None or (detector := watch.now) is None:
        return None
    return DetectorState(
        version_id=watch.version_id,
        value=detector.value if detector.labels else None,
        budget=detector.budget,
        seen=detector.labels,
        alarmed=watch.alarmed,
        promise=f"at most one false alarm in {detector.budget:,.0f} {watch.observed}",
    )
