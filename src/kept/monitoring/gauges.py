"""What monitors have found, as gauges for Prometheus: one scrape shows every budget, bound, estimate and alert."""

from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric

from kept.core.errors import KeptError
from kept.deployment.catalog import ShowStatus, show_status
from kept.deployment.endpoint import EndpointStatus
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.catalog import MonitorStatus, ShowMonitors, show_monitors
from kept.monitoring.performance import DELAY
from kept.monitoring.performance import MONITOR as PERFORMANCE
from kept.monitoring.plan import MonitoringPlan, monitoring_plan
from kept.monitoring.receivers import place_of
from kept.monitoring.records import count_incidents, results_of, waiting_notices
from kept.monitoring.result import WindowResult
from kept.monitoring.skew_watch import MONITOR as SKEW
from kept.monitoring.skew_watch import VALUES
from kept.plan.records import find_project

_LOOKED_AT = 2_000
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

        for status in show_status(self._workspace, self._actor, ShowStatus()):
            name = status.endpoint.name
            try:
                values = [*self._of_endpoint(status)]
            except KeptError:
                values = [("monitor_unreadable", (name,), 1.0)]
            for one in values:
                put(*one)
        with self._workspace.database.reading() as connection:
            for *labels, count in count_incidents(connection):
                put("alerts", [str(one) for one in labels], float(count))
            for target, count in waiting_notices(connection).items():
                put("notices_owed", (place_of(target),), float(count))
        yield from families.values()

    def _of_endpoint(self, status: EndpointStatus) -> Iterator[tuple[str, tuple[str, ...], float | None]]:
        name = status.endpoint.name
        monitors = show_monitors(self._workspace, self._actor, ShowMonitors(endpoint=name))
        champion = status.route.route.champion if status.route else None
        with self._workspace.database.reading() as connection:
            record = find_project(connection, status.endpoint.project)
            results = [
                one
                for monitor in (PERFORMANCE, "estimate", "service")
                for one in results_of(
                    connection,
                    name,
                    monitor=monitor,
                    version_id=champion.version_id if champion else "",
                    limit=_LOOKED_AT,
                )
            ]
            skewed = results_of(connection, name, monitor=SKEW, metric=VALUES, limit=_LOOKED_AT)
        for feature, one in {each.slice: each for each in skewed}.items():
            yield ("skew_share", (name, feature), one.value)
            yield ("skew_holds", (name, feature), float(one.holds is not False))
        yield ("monitor_unreadable", (name,), 0.0)
        yield from _detectors(monitors)
        if record is not None:
            plan = monitoring_plan(record)
            yield from _promised(name, plan)
            yield from _measured(name, str(champion.number) if champion else "", plan, results)


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
    newest: dict[tuple[str, str, str], WindowResult] = {}
    for one in results:
        if one.value is not None:
            newest[one.monitor, one.metric, one.slice] = one
    for (monitor, metric, where), one in newest.items():
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
