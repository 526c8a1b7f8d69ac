"""The chart of an endpoint over event time, as plain series: performance, detectors against their budgets, what happened."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from kept.app.connection import Connection
from kept.deployment.catalog import ListRollouts, list_rollouts
from kept.deployment.rollout import PHASES
from kept.loop.decisions import ListDecisions, list_decisions
from kept.monitoring.alerts import ListAlerts, list_alerts
from kept.monitoring.catalog import ShowWindows, show_windows
from kept.monitoring.result import WindowResult
from kept.plan.objective import Objective
from kept.registry.version import ModelSummary
from kept.web.pages.facts import LoopFacts
from kept.web.rendering import metric

_MOST_WINDOWS = 5_000
_MOST_EVENTS = 500
# What decay is judged by; then what else tells of a model without objectives.
_LOSSES = ("log_loss", "rmse")
_OTHERS = ("roc_auc", "accuracy", "mae")

Lane = Literal["alarm", "retrain", "release", "promote", "roll back"]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One version's value in one window; its time is the window's start."""

    time: datetime
    version: int | None
    value: float
    low: float | None
    high: float | None
    rows: int
    holds: bool | None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over time, of the version that answered most in each window; `others` are canaries and the like."""

    name: str
    """As people write it."""
    bound: float | None
    direction: str | None
    points: tuple[Point, ...]
    others: tuple[Point, ...]


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A detector's value as a share of its budget: it alarms at 1."""

    name: str
    times: tuple[datetime, ...]
    shares: tuple[float, ...]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    time: datetime
    lane: Lane
    what: str
    version: int | None = None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the chart draws. Times are event times."""

    endpoint: str
    metrics: tuple[Series, ...]
    detectors: tuple[Detector, ...]
    events: tuple[Event, ...]


def timeline(connection: Connection, facts: LoopFacts) -> Timeline:
    """The chart of an endpoint."""
    endpoint = facts.endpoint or facts.name
    objectives = facts.plan.objectives if facts.plan else ()
    return Timeline(
        endpoint=endpoint,
        metrics=tuple(_performance(connection, endpoint, objectives, facts.by_id)),
        detectors=tuple(
            one for name in ("drift", "decay") if (one := _detector(connection, endpoint, name)) is not None
        ),
        events=tuple(sorted(_events(connection, facts, endpoint), key=lambda one: one.time)),
    )


def _performance(
    connection: Connection, endpoint: str, objectives: Iterable[Objective], versions: dict[str, ModelSummary]
) -> Iterable[Series]:
    request = ShowWindows(endpoint=endpoint, monitor="performance", slice="", limit=_MOST_WINDOWS)
    found = connection.call(show_windows, request)
    bounds = {one.metric: one for one in objectives if one.by is None}
    measured = {one.metric for one in found if one.value is not None}
    promised = [name for name in (*bounds, *_OTHERS) if name in measured]
    losses = [name for name in _LOSSES if name in measured]
    for name in dict.fromkeys([*promised[:1], *losses[:1]]):
        bound = bounds.get(name)
        points, others = _points([one for one in found if one.metric == name], versions)
        yield Series(
            name=metric(name),
            bound=bound.bound if bound else None,
            direction=bound.direction if bound else None,
            points=tuple(points),
            others=tuple(others),
        )


def _points(found: list[WindowResult], versions: dict[str, ModelSummary]) -> tuple[list[Point], list[Point]]:
    most = {one.start: one for one in sorted(found, key=lambda one: one.rows)}
    points: list[Point] = []
    others: list[Point] = []
    for one in found:
        if one.value is None:
            continue
        known = versions.get(one.version_id)
        point = Point(
            time=one.start,
            version=known.number if known else None,
            value=one.value,
            low=one.low,
            high=one.high,
            rows=one.rows,
            holds=one.holds,
        )
        (points if most[one.start] is one else others).append(point)
    return points, others


def _detector(connection: Connection, endpoint: str, name: str) -> Detector | None:
    request = ShowWindows(endpoint=endpoint, monitor=name, metric=name, slice="", limit=_MOST_WINDOWS)
    found = [one for one in connection.call(show_windows, request) if one.value is not None and one.high]
    if not found:
        return None
    return Detector(
        name=name,
        times=tuple(one.start for one in found),
        shares=tuple((one.value or 0.0) / (one.high or 1.0) for one in found),
    )


def _events(connection: Connection, facts: LoopFacts, endpoint: str) -> Iterable[Event]:
    for alert in connection.call(list_alerts, ListAlerts(endpoint=endpoint, limit=_MOST_EVENTS)):
        if alert.event_time is not None and alert.kind in {"drift", "decay", "objective", "errors", "quality"}:
            yield Event(time=alert.event_time, lane="alarm", what=alert.title)
    if facts.project is not None:
        for one in connection.call(list_decisions, ListDecisions(project=facts.project.name, limit=_MOST_EVENTS)):
            if one.kind == "retrain" and one.event_time is not None:
                yield Event(time=one.event_time, lane="retrain", what=one.reason)
    lanes: dict[str, Lane] = {
        "shadow": "release",
        "canary": "release",
        "ab": "release",
        "promoted": "promote",
        "rolled_back": "roll back",
    }
    for rollout in connection.call(list_rollouts, ListRollouts(endpoint=endpoint)):
        known = facts.by_id.get(rollout.candidate)
        first = next((one for one in rollout.evidence if one.state in PHASES), None)
        for step in rollout.evidence:
            lane = lanes.get(step.state)
            begun = step.state in {"promoted", "rolled_back"} or step == first
            if lane is not None and begun and step.event_time is not None:
                yield Event(time=step.event_time, lane=lane, what=step.reason, version=known.number if known else None)
