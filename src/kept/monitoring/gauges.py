"""What monitors have found, as gauges for Prometheus: one scrape shows every budget, bound, estimate and alert."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection

from kept.core.errors import KeptError
from kept.deployment.catalog import ShowStatus, show_status
from kept.deployment.endpoint import EndpointStatus
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.catalog import DETECTORS, MonitorStatus, monitor_status
from kept.monitoring.estimate import MONITOR as ESTIMATE
from kept.monitoring.labelled_state import STATE as LABELLED
from kept.monitoring.performance import DELAY
from kept.monitoring.performance import MONITOR as PERFORMANCE
from kept.monitoring.plan import MonitoringPlan, monitoring_plan
from kept.monitoring.receivers import place_of
from kept.monitoring.records import Newest, count_incidents, newest_results, states_by_endpoint, waiting_notices
from kept.monitoring.result import MonitorState, WindowResult
from kept.monitoring.skew_watch import MONITOR as SKEW
from kept.monitoring.skew_watch import VALUES
from kept.monitoring.traffic import SERVICE
from kept.monitoring.traffic import STATE as TRAFFIC
from kept.plan.records import find_project

# Windows: what was last measured longer ago says nothing of the present.
_LOOKED_AT = 30
_OF_WINDOW = ("endpoint", "version", "metric", "slice")


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    """A gauge: its name, what it says, and the labels of its values."""

    name: str
    says: str
    labels: tuple[str, ...]


GAUGES = tuple(
    Gauge(name=f"kept_{name}", says=says, labels=labels)
    for name, says, labels in (
        (
            "monitor_evidence",
            "Evidence that a detector (drift, decay, predictions, attribution) has gathered",
            ("endpoint", "monitor"),
        ),
        ("monitor_bound", "Evidence at which a detector alarms: its budget of false alarms", ("endpoint", "monitor")),
        ("monitor_alarmed", "Whether a detector has alarmed and nothing has acted on it", ("endpoint", "monitor")),
        ("objective_value", "Last measured value of an objective's metric", (*_OF_WINDOW, "monitor")),
        ("objective_low", "Lower end of its interval", (*_OF_WINDOW, "monitor")),
        ("objective_high", "Upper end of its interval", (*_OF_WINDOW, "monitor")),
        ("objective_holds", "Whether it keeps what was promised", (*_OF_WINDOW, "monitor")),
        ("objective_bound", "What was promised of a metric", ("endpoint", "metric", "by", "direction")),
        (
            "skew_share",
            "Share of a feature's last sampled values that were served otherwise than they are stored",
            ("endpoint", "feature"),
        ),
        ("skew_holds", "Whether that is within what is declared", ("endpoint", "feature")),
        ("label_coverage", "Share of the last judged window's predictions that have a label", ("endpoint", "version")),
        (
            "label_delay_hours",
            "Median hours from a prediction to its label in the last judged window",
            ("endpoint", "version"),
        ),
        ("window_rows", "Predictions in the last window", ("endpoint", "version")),
        ("watermark_seconds", "Event time up to which was watched, since 1970", ("endpoint", "monitor")),
        ("alerts", "Alerts that nobody has resolved", ("endpoint", "kind", "severity", "state")),
        ("notices_owed", "Notices of alerts that a receiver has not taken yet", ("receiver",)),
        ("monitor_unreadable", "Whether what a monitor remembers cannot be read", ("endpoint",)),
    )
)
"""Estimates are objectives whose `monitor` is `estimate`; metrics of the service have `service`."""


class Gauges:
    """The gauges of a workspace, as a collector of `prometheus_client`: each look reads the records anew."""

    def __init__(self, workspace: Workspace, actor: Actor) -> None:
        self._workspace = workspace
        self._actor = actor

    def collect(self) -> Iterator[Metric]:
        """Every gauge with its values."""
        families = {one.name: GaugeMetricFamily(one.name, one.says, labels=one.labels) for one in GAUGES}

        def put(name: str, labels: Iterable[str], value: float | None) -> None:
            if value is not None:
                families[f"kept_{name}"].add_metric([str(one) for one in labels], float(value))

        endpoints = show_status(self._workspace, self._actor, ShowStatus())
        with self._workspace.database.reading() as connection:
            states = states_by_endpoint(connection)
            for status in endpoints:
                name = status.endpoint.name
                try:
                    values = [*_of_endpoint(connection, status, states.get(name, {}))]
                except KeptError:
                    values = [("monitor_unreadable", (name,), 1.0)]
                for one in values:
                    put(*one)
            for *labels, count in count_incidents(connection):
                put("alerts", [str(one) for one in labels], float(count))
            for target, count in waiting_notices(connection).items():
                put("notices_owed", (place_of(target),), float(count))
        yield from families.values()


def _of_endpoint(
    connection: Connection, status: EndpointStatus, states: dict[str, MonitorState]
) -> Iterator[tuple[str, tuple[str, ...], float | None]]:
    name = status.endpoint.name
    record = find_project(connection, status.endpoint.project)
    plan = monitoring_plan(record) if record else None
    champion = status.route.route.champion if status.route else None
    version = champion.version_id if champion else None
    results = _newest(connection, name, version, states, plan.window if plan else timedelta(days=1))
    values = {one.monitor: one.value for one in results if one.metric == one.monitor}
    for one in results:
        if one.monitor == SKEW:
            yield ("skew_share", (name, one.slice), one.value)
            yield ("skew_holds", (name, one.slice), float(one.holds is not False))
    yield from _detectors(monitor_status(name, version, states, values))
    yield ("monitor_unreadable", (name,), 0.0)
    if plan is not None:
        yield from _promised(name, plan)
        yield from _measured(name, str(champion.number) if champion else "", plan, results)


def _newest(
    connection: Connection, endpoint: str, version_id: str | None, states: dict[str, MonitorState], window: timedelta
) -> list[WindowResult]:
    """The newest results, of the champion where they are a version's: of the last windows that each monitor has judged."""
    wanted = []
    for monitor, metric, whose, judged_by in (
        *((one, one, None, TRAFFIC) for one in DETECTORS),
        (SKEW, VALUES, None, SKEW),
        (PERFORMANCE, None, version_id or "", LABELLED),
        (ESTIMATE, None, version_id or "", TRAFFIC),
        (SERVICE, None, version_id or "", TRAFFIC),
    ):
        until = states[judged_by].watermark if judged_by in states else None
        if until is not None:
            since = until - _LOOKED_AT * window
            wanted.append(Newest(monitor=monitor, metric=metric, version_id=whose, since=since))
    return newest_results(connection, endpoint, wanted) if wanted else []


def _detectors(status: MonitorStatus) -> Iterator[tuple[str, tuple[str, ...], float | None]]:
    for monitor, until in (("traffic", status.traffic_until), ("labels", status.labelled_until)):
        yield ("watermark_seconds", (status.endpoint, monitor), until.timestamp() if until else None)
    for monitor, one in (
        ("drift", status.drift),
        ("decay", status.decay),
        ("predictions", status.predictions),
        ("attribution", status.attribution),
    ):
        if one is not None:
            labels = (status.endpoint, monitor)
            yield ("monitor_evidence", labels, one.value or 0.0)
            yield ("monitor_bound", labels, one.budget)
            yield ("monitor_alarmed", labels, float(one.alarmed))


def _promised(endpoint: str, plan: MonitoringPlan) -> Iterator[tuple[str, tuple[str, ...], float | None]]:
    for one in plan.objectives:
        yield ("objective_bound", (endpoint, one.metric, one.by or "", one.direction), one.bound)


def _measured(
    endpoint: str, version: str, plan: MonitoringPlan, results: list[WindowResult]
) -> Iterator[tuple[str, tuple[str, ...], float | None]]:
    """The newest value of each metric that is promised, in each slice that is; and how many rows and labels there were."""
    promised = {one.metric for one in plan.objectives}
    for one in results:
        monitor, metric, where = one.monitor, one.metric, one.slice
        if monitor not in {PERFORMANCE, ESTIMATE, SERVICE}:
            continue
        if metric == "coverage" and not where:
            yield ("label_coverage", (endpoint, version), one.value)
        elif metric == DELAY:
            yield ("label_delay_hours", (endpoint, version), one.value)
        elif (monitor, metric) == ("service", "rows"):
            yield ("window_rows", (endpoint, version), one.value)
        elif metric in promised:
            labels = (endpoint, version, metric, where, monitor)
            yield ("objective_value", labels, one.value)
            yield ("objective_low", labels, one.low)
            yield ("objective_high", labels, one.high)
            yield ("objective_holds", labels, None if one.holds is None else float(one.holds))
