"""Watching traffic: every closed window goes through the rules, the drift detector, and the estimate of performance."""

from datetime import datetime
from functools import cached_property, partial
from typing import Any

import msgspec
import numpy as np
import polars as pl

from kept.core.clock import format_time
from kept.deployment.endpoint import Endpoint
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.measures.arrays import decode, encode
from kept.measures.drift.cycle import UTC
from kept.measures.drift.detector import DriftFinding
from kept.measures.drift.reference import Reference
from kept.monitoring import attribution, drift, estimate
from kept.monitoring import predictions as said
from kept.monitoring.accepted import accepted_reference
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.attribution import AttributionMonitor, Shown, attribution_reference
from kept.monitoring.budget import Detector
from kept.monitoring.conditions import news
from kept.monitoring.drift import DriftWatch
from kept.monitoring.estimate import Memory
from kept.monitoring.performance import Measured
from kept.monitoring.plan import MonitoringPlan
from kept.monitoring.predictions import PredictionWatch
from kept.monitoring.quality import Breach, check_answers, check_columns, check_errors, check_schema, check_volume
from kept.monitoring.records import drop_window, find_state, save_checkpoint, save_results, save_state
from kept.monitoring.recount import RECOUNTED, WHY, Recount
from kept.monitoring.result import Checkpoint, MonitorState, WindowResult
from kept.monitoring.sameness import Sameness, check_sameness
from kept.monitoring.settling import settle_gone
from kept.monitoring.stream import Stream, answered, asked, features_of, latencies_of, scores_of
from kept.monitoring.subject import Subject, asked_alike, drift_reference
from kept.monitoring.usual import Usual, day_of_rest
from kept.monitoring.window import Window, first_whole
from kept.plan.reference import SERVING, in_words
from kept.serving.logrules import log_rules

STATE = "traffic"
SERVICE = "service"
QUALITY = "quality"
_MONITORS = (SERVICE, QUALITY, drift.MONITOR, drift.COLUMNS, said.MONITOR, attribution.MONITOR)


class TrafficState(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is remembered of an endpoint's traffic."""

    usual: dict[int, tuple[int, ...]] = {}
    """Rows of the last windows, by the second of the day at which they begin."""
    usual_of_week: dict[int, tuple[int, ...]] = {}
    """The same by the second of the week. Apart from the first, as states of before there was this one have that alone."""
    usual_zone: str = UTC
    """By whose clock."""
    standing: dict[str, int] = {}
    """Conditions that last, and for how many windows each has been away."""
    sameness: Sameness = Sameness()
    drift: DriftWatch | None = None
    predictions: PredictionWatch | None = None
    attribution: DriftWatch | None = None
    recount: Recount | None = None
    """What is to be known while windows are counted again."""
    failures_until: datetime | None = None
    """When the last request came up to which failures and refusals were counted: each is counted once, in one window or the next."""

    @property
    def alarms(self) -> tuple[str, ...]:
        """Titles of the detectors' alarms that stand."""
        watches = {drift.TITLE: self.drift, said.TITLE: self.predictions, attribution.TITLE: self.attribution}
        return tuple(title for title, watch in watches.items() if watch is not None and watch.alarmed)

    def usual_in(self, zone: str) -> Usual:
        """What is usual by the clock of a time zone; nothing where it was remembered by another's."""
        known = self.usual_zone == zone
        return Usual(of_day=self.usual, of_week=self.usual_of_week) if known else Usual()


class TrafficWatch:
    """Judges the traffic of one endpoint. What it remembers is in the store; it can be made anew at any time."""

    def __init__(
        self,
        workspace: Workspace,
        actor: Actor,
        project: MonitoringPlan,
        endpoint: Endpoint,
        champion: Subject,
        stream: Stream,
        *,
        champion_since: datetime,
        acted_at: datetime | None,
    ) -> None:
        self._workspace = workspace
        self._actor = actor
        self._project = project
        self._endpoint = endpoint
        self._champion = champion
        self._stream = stream
        self._champion_since = champion_since
        self._acted_at = acted_at
        # What the log does not hold as it was sent cannot be watched.
        self._unseen = log_rules(workspace.settings).redacted
        self._state = read_traffic(workspace, endpoint.name) or TrafficState()
        self._accepted: tuple[str, Reference] | None = None

    def judge(self, window: Window, memory: Memory | None) -> None:
        """Deals with a window that is closed: results, state and alerts in one transaction.

        Args:
            window: the next one; or one that is counted again, since rows have come late to it, or to one before it.
            memory: labelled predictions of the champion, to estimate its performance from. None where they may be the
                window's own, so that the estimate stays as it was made before its labels came.
        """
        predictions = self._stream.window(window)
        if not predictions.is_empty():
            predictions = predictions.filter(pl.col("role") != "shadow")
        again = self._state.recount.of(window.start) if self._state.recount else None
        in_time = predictions if again is None else _up_to(predictions, again.failures_until)
        failures = self._stream.failures(in_time, self._state.failures_until)
        results = self._service(window, predictions, failures)
        refused = self._stream.refusals(in_time, self._state.failures_until)
        breaches, sameness = self._breaches(window, predictions, failures.height, refused)
        found = {breach.message: self._alert_of(window, breach) for breach in breaches}
        results += [
            Measured(metric=breach.metric, slice=breach.column, value=None, rows=predictions.height, holds=False).of(
                self._endpoint.name, self._champion.version_id, window.start, QUALITY
            )
            for breach in breaches
        ]
        state = self._state
        watch, finding, alarm = self._drift(window, predictions, state.drift)
        if finding is not None:
            results += self._of_champion(window, drift.MONITOR, [drift.measured(finding)])
            results += self._of_champion(window, drift.COLUMNS, drift.measured_columns(finding))
        if memory is not None:
            results += self._of_champion(window, estimate.MONITOR, self._estimates(predictions, memory))
        answers, told = self._predictions(window, predictions, state.predictions)
        if told is not None:
            results += self._of_champion(window, said.MONITOR, said.measured(told))
        hung, shown = self._attribution(window, predictions, state.attribution)
        if shown is not None:
            results += self._of_champion(window, attribution.MONITOR, attribution.measured(shown))
        alerts, standing = news(state.standing, found)
        if told is not None and told.alarm and not (state.predictions and state.predictions.alarmed):
            evidence = said.evidence_of(told, self._project.budget_of("predictions"), window)
            alerts.append(self._alert(window, "quality", "warning", said.TITLE, evidence))
        if shown is not None and shown.finding.alarm and not (state.attribution and state.attribution.alarmed):
            evidence = attribution.evidence_of(shown, self._project.budget_of("attribution"), window)
            alerts.append(self._alert(window, "quality", "warning", attribution.TITLE, evidence))
        if alarm is not None:
            alerts.append(alarm)
        zone = self._project.time_zone
        usual = state.usual_in(zone).with_rows(window, asked(predictions), zone)
        self._state = TrafficState(
            usual=usual.of_day,
            usual_of_week=usual.of_week,
            usual_zone=zone,
            standing=standing,
            sameness=sameness,
            drift=watch,
            predictions=answers,
            attribution=hung,
            recount=None if state.recount is None or state.recount.until <= window.end else state.recount,
            failures_until=_latest(state.failures_until, in_time),
        )
        if again is not None and again.rows:
            recounted = Measured(metric=RECOUNTED, value=float(predictions.height), rows=predictions.height)
            results += self._of_champion(window, SERVICE, [recounted])
        self._keep(window, state, results, alerts, again=again is not None, estimated=memory is not None)

    def _keep(
        self,
        window: Window,
        before: TrafficState,
        results: list[WindowResult],
        alerts: list[RaiseAlert],
        *,
        again: bool,
        estimated: bool,
    ) -> None:
        """Results, state and alerts in one transaction. What people were told of is not told again, and taken back if it goes."""
        name, now, recount = self._endpoint.name, self._workspace.clock.now(), before.recount
        gone, taken_back = before.standing.keys() - self._state.standing.keys(), set[str]()
        if recount is not None:
            alerts = [one for one in alerts if one.title not in recount.told]
            gone -= set(recount.stood)
            if self._state.recount is None:
                taken_back = set(recount.stood) - {*self._state.standing, *self._state.alarms}
        kept = Checkpoint(endpoint=name, monitor=STATE, start=window.start, state=encode(before))
        with self._workspace.database.writing() as connection:
            if again:
                drop_window(connection, name, (*_MONITORS, estimate.MONITOR) if estimated else _MONITORS, window.start)
            save_results(connection, results)
            save_checkpoint(
                connection, kept, forget_before=window.start - self._project.lateness - self._project.window
            )
            save_state(connection, self._row(window.end))
            settle_gone(connection, name, ("quality", "errors"), gone, now)
            settle_gone(connection, name, ("quality", "errors", "drift"), taken_back, now, why=WHY)
            for alert in alerts:
                raise_alert(self._workspace.inside(connection), self._actor, alert)

    @cached_property
    def _reference(self) -> Reference | None:
        found = drift_reference(self._workspace, self._champion)
        return None if found is None else drift.without(found, self._unseen)

    @cached_property
    def _attributions(self) -> AttributionMonitor | None:
        reference = attribution_reference(self._workspace, self._champion)
        if reference is None or not self._project.explained_rows:
            return None
        return AttributionMonitor(
            self._workspace,
            self._champion,
            reference,
            rows=self._project.explained_rows,
            windows=self._windows_of("attribution"),
            unseen=self._unseen,
        )

    def _service(self, window: Window, predictions: pl.DataFrame, failures: pl.DataFrame) -> list[WindowResult]:
        """How the service did, by version: rows, latency, failures."""
        found: list[WindowResult] = []
        if predictions.is_empty():
            return found
        bounds = {one.metric: one for one in self._project.objectives if one.by is None}
        for (version_id,), rows in predictions.group_by(["version_id"], maintain_order=True):
            errors = failures.filter(pl.col("version_id") == version_id).height
            latencies = latencies_of(rows)
            numbers = {
                "rows": float(asked(rows)),
                "latency_p50_ms": latencies.quantile(0.5),
                "latency_p99_ms": latencies.quantile(0.99),
                "error_rate": errors / (asked(rows) + errors),
            }
            for metric, value in numbers.items():
                bound = bounds.get(metric)
                holds = None if bound is None or value is None else bound.holds(value)
                one = Measured(metric=metric, value=value, rows=rows.height, holds=holds)
                found.append(one.of(self._endpoint.name, str(version_id), window.start, SERVICE))
        return found

    def _breaches(
        self, window: Window, predictions: pl.DataFrame, failures: int, refused: int
    ) -> tuple[list[Breach], Sameness]:
        zone = self._project.time_zone
        usual = self._state.usual_in(zone)
        of_week = usual.at_week(window, zone)
        # A declared week is no guess: its days are not held against each other.
        earlier = of_week if self._project.season == "day of week" else usual.at_day(window, zone)
        found = [check_volume(asked(predictions), earlier, of_week, day_of_rest=day_of_rest(window, zone))]
        limit = next(
            (one.bound for one in self._project.objectives if one.metric == "error_rate" and one.by is None),
            self._project.releasing.max_error_rate,
        )
        found.append(check_errors(asked(predictions), failures, limit))
        found.append(check_schema(asked(predictions), refused))
        if not predictions.is_empty():
            own = predictions.filter(pl.col("version_id") == self._champion.version_id)
            usable = answered(scores_of(own, self._champion.task), self._champion.task)
            found.append(check_answers(own.height, int(np.count_nonzero(~usable))))
        sameness = self._state.sameness
        if self._reference is not None and not predictions.is_empty():
            rows = self._comparable(predictions, self._reference)
            features, expected = features_of(rows), drift.expectations(self._reference, self._unseen)
            alike, sameness = check_sameness(rows, features, expected, sameness, self._project.window)
            found += [*check_columns(features, expected), *alike]
        return [one for one in found if one is not None], sameness

    def _drift(
        self, window: Window, predictions: pl.DataFrame, watch: DriftWatch | None
    ) -> tuple[DriftWatch | None, DriftFinding | None, RaiseAlert | None]:
        if window.start < self._champion_since:
            return watch, None, None
        held = self._held_against(window, watch)
        if held is None:
            return watch, None, None
        digest, reference = held
        watch = drift.continued(
            watch,
            version_id=self._champion.version_id,
            digest=digest,
            reference=reference,
            acted_at=self._acted_at,
            windows=self._windows_of("drift"),
        )
        rows, season = self._comparable(predictions, reference), reference.season_at(window.start)
        if rows.is_empty() or reference.of_season(season) is None:
            return watch, None, None
        counts = drift.count(reference, features_of(rows))
        detector, finding = drift.judge(watch.detector, reference, counts, season)
        alarm = None
        if finding.alarm and not watch.alarmed:
            evidence = drift.evidence_of(finding, self._project.budget_of("drift"), window)
            first = f"this version's first {reference.windows} windows of serving"
            against = first if self._project.reference == SERVING else in_words(self._project.reference)
            alarm = self._alert(window, "drift", "warning", drift.TITLE, {**evidence, "against": against})
        watch = msgspec.structs.replace(watch, detector=detector, alarmed=watch.alarmed or finding.alarm)
        return watch, finding, alarm

    def _held_against(self, window: Window, watch: DriftWatch | None) -> tuple[str, Reference] | None:
        """The reference that the project declares, with its digest; None where there is none, or not yet."""
        known = self._reference
        if known is None or self._project.reference != SERVING:
            return None if known is None else (self._champion.reference or "", known)
        begun = watch is not None and watch.version_id == self._champion.version_id
        if watch is not None and begun and watch.reference != self._champion.reference:
            if self._accepted is None or self._accepted[0] != watch.reference:
                kept = drift.load_reference(self._workspace.blobs.get(watch.reference))
                self._accepted = (watch.reference, drift.without(kept, self._unseen))
        else:
            since = first_whole(self._champion_since, self._project.windows)
            comparable = partial(self._comparable, reference=known)
            found = accepted_reference(self._stream, known, since, window, self._project.windows, comparable)
            if found is not None:
                self._accepted = (self._workspace.blobs.put(encode(found)), drift.without(found, self._unseen))
        return self._accepted

    def _comparable(self, predictions: pl.DataFrame, reference: Reference) -> pl.DataFrame:
        """What was asked as the champion is; where the reference has scores, only what it answered, since other scores differ."""
        if predictions.is_empty() or "score" not in reference.grid.columns:
            return asked_alike(self._workspace, self._champion, predictions)
        return predictions.filter(pl.col("version_id") == self._champion.version_id)

    def _estimates(self, predictions: pl.DataFrame, memory: Memory) -> list[Measured]:
        if predictions.is_empty():
            return []
        own = predictions.filter(pl.col("version_id") == self._champion.version_id)
        task = self._champion.task
        own = own.filter(pl.Series(answered(scores_of(own, task), task)))
        scores = scores_of(own, task)
        features = estimate.covariates(features_of(own), scores)
        return estimate.estimate_window(task, self._project.objectives, memory, scores, features)

    def _predictions(
        self, window: Window, predictions: pl.DataFrame, watch: PredictionWatch | None
    ) -> tuple[PredictionWatch, DriftFinding | None]:
        """Behind the period in which its first answers were accepted, whether the champion still answers alike."""
        watch = said.continued(watch, self._champion.version_id, self._acted_at)
        if predictions.is_empty():
            return watch, None
        own = predictions.filter(pl.col("version_id") == self._champion.version_id)
        cycle, zone = (None, UTC) if self._reference is None else (self._reference.cycle, self._reference.zone)
        scores, windows = scores_of(own, self._champion.task), self._windows_of("predictions")
        return said.feed(watch, self._champion.task, scores, windows, window, cycle, zone)

    def _attribution(
        self, window: Window, predictions: pl.DataFrame, watch: DriftWatch | None
    ) -> tuple[DriftWatch | None, Shown | None]:
        """Whether the champion's predictions still hang on what they hung on in training, from its release on."""
        if predictions.is_empty() or window.start < self._champion_since:
            return watch, None
        own = predictions.filter(pl.col("version_id") == self._champion.version_id)
        if own.is_empty() or self._attributions is None:
            return watch, None
        return self._attributions.feed(watch, features_of(own), window, self._acted_at)

    def _windows_of(self, detector: Detector) -> float:
        return self._project.budget_of(detector).windows(self._project.window)

    def _of_champion(self, window: Window, monitor: str, measured: list[Measured]) -> list[WindowResult]:
        name, version_id = self._endpoint.name, self._champion.version_id
        return [one.of(name, version_id, window.start, monitor) for one in measured]

    def _alert_of(self, window: Window, breach: Breach) -> RaiseAlert:
        if breach.rule == "errors":
            return self._alert(window, "errors", "critical", breach.message, breach.evidence)
        evidence = {"column": breach.column, **breach.evidence} if breach.column else breach.evidence
        severity = "critical" if breach.rule == "answers" else "warning"
        return self._alert(window, "quality", severity, breach.message, evidence)

    def _alert(self, window: Window, kind: Any, severity: Any, title: str, evidence: dict[str, Any]) -> RaiseAlert:
        span = {"start": format_time(window.start), "end": format_time(window.end)}
        return RaiseAlert(
            project=self._project.name,
            endpoint=self._endpoint.name,
            kind=kind,
            severity=severity,
            title=title,
            evidence=msgspec.to_builtins({"window": span, "version": self._champion.number, **evidence}),
            version_id=self._champion.version_id,
            event_time=window.end,
        )

    def _row(self, until: datetime) -> MonitorState:
        return MonitorState(
            endpoint=self._endpoint.name,
            monitor=STATE,
            version_id="",
            watermark=until,
            state=encode(self._state),
            updated_at=self._workspace.clock.now(),
        )


def read_traffic(workspace: Workspace, endpoint: str) -> TrafficState | None:
    """What is remembered of an endpoint's traffic."""
    with workspace.database.reading() as connection:
        known = find_state(connection, endpoint, STATE, "")
    return decode(known.state, TrafficState) if known else None


def _up_to(predictions: pl.DataFrame, moment: datetime | None) -> pl.DataFrame:
    """Those of the predictions whose requests had come by a moment."""
    if predictions.is_empty() or moment is None:
        return predictions.clear()
    return predictions.filter(pl.col("received_at") <= moment)


def _latest(before: datetime | None, predictions: pl.DataFrame) -> datetime | None:
    """The later of a moment and the newest of these requests."""
    if predictions.is_empty():
        return before
    last: datetime = predictions.select(pl.max("received_at")).item()
    return last if before is None else max(before, last)
