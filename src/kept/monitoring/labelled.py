"""Watching labelled predictions: windows whose labels have had time to come are judged, late labels judged again."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl

from kept.core.clock import format_time
from kept.core.durations import format_duration
from kept.data import labels as ledger
from kept.deployment.endpoint import Endpoint
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.measures.arrays import encode
from kept.monitoring import decay, fairness
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.causes import find_causes, with_causes
from kept.monitoring.decay import DecayFinding
from kept.monitoring.estimate import REMEMBERED, Memory, covariates
from kept.monitoring.fairness import measure_groups
from kept.monitoring.judged import WINDOWS_BACK, JudgedWindow, Standing, began
from kept.monitoring.labelled_rows import labelled_back
from kept.monitoring.labelled_state import STATE, LabelledState, LedgerState, VersionWatch, read_state
from kept.monitoring.outcomes import Outcomes, encode_known, loss_between_0_and_1
from kept.monitoring.performance import MONITOR, Measured, failed_objectives, label_delay, measure_window
from kept.monitoring.plan import MonitoringPlan
from kept.monitoring.records import drop_results, find_state, results_of, save_results, save_state
from kept.monitoring.result import MonitorState
from kept.monitoring.settling import GONE, TAKEN_BACK, settle_gone
from kept.monitoring.span import covers, measure_span
from kept.monitoring.stream import Stream, answered, features_of, scores_of
from kept.monitoring.subject import Subject, subject_of
from kept.monitoring.window import Window, window_of
from kept.plan.policy import Broken, Decay

_LEDGER = "labels"

# How often late labels are looked for.
_LOOK_EVERY = timedelta(seconds=5)
# One for each version that was asked in a window.
_MOST_RESULTS = 10_000
# A look that finds nothing is noted now and then, so that the next one need not read what has come since long ago.
_NOTED_EVERY = timedelta(hours=1)
_RECENT = 14


class LabelledWatch:
    """Judges labelled predictions of one endpoint. What it remembers is in the store; it can be made anew at any time."""

    def __init__(
        self,
        workspace: Workspace,
        actor: Actor,
        project: MonitoringPlan,
        endpoint: Endpoint,
        champion: Subject,
        stream: Stream,
        *,
        acted_at: datetime | None,
    ) -> None:
        self._workspace = workspace
        self._actor = actor
        self._project = project
        self._endpoint = endpoint
        self._champion = champion
        self._stream = stream
        known, state = read_state(workspace, endpoint.name)
        self.until = known.watermark if known else None
        self._sequence = state.sequence if state else 0
        with workspace.database.reading() as connection:
            looked = find_state(connection, endpoint.name, _LEDGER, "")
        self._looked_at = msgspec.json.decode(looked.state, type=LedgerState).looked_at if looked else None
        # Before the first look, what came since the last window was judged.
        self._late_since = self._looked_at or (known.updated_at if known else None)
        self._watch = self._continued(state.champion.remembering() if state else None, acted_at)
        self._measured_over = set[datetime]()

    def judge(self, window: Window) -> None:
        """Measures every version's labelled predictions of a window, and feeds the champion's to the detector."""
        predictions = self._joined(window)
        self._keep(window, predictions, first_time=True)

    @property
    def memory(self) -> Memory:
        """The champion's newest labelled predictions."""
        return self._watch.memory

    def look_back(self) -> None:
        """Adds labels and predictions that came late to the metrics of their windows, which are measured again as a whole."""
        if self.until is None:
            # Every window is to be judged yet, by all that is known then.
            self._sequence = ledger.newest(self._workspace, self._endpoint.name)
            return
        judged = Window(start=self.until - WINDOWS_BACK * self._project.window, end=self.until)
        fresh = (
            ledger.history(self._workspace, self._endpoint.name, pl.col("sequence") > self._sequence)
            .select("prediction_id", "key", "sequence")
            .collect()
        )
        late = self._late(judged)
        found = late or not fresh.is_empty()
        now, before = self._stream.now, self._looked_at
        if not found and before is not None and timedelta(0) <= now - before < _NOTED_EVERY:
            return
        corrected = sorted(self._touched(fresh, judged) | late)
        if corrected:
            # Kept with the first of the windows: where there is no time for the last, it is found again.
            memory, baseline = self._memory_anew(judged), self._baseline_anew(judged)
            self._watch = msgspec.structs.replace(self._watch, memory=memory, baseline=baseline)
            self._measured_over.clear()
        for window in corrected:
            self._keep(window, self._joined(window), first_time=False)
        if not fresh.is_empty():
            self._sequence = int(fresh.select(pl.max("sequence")).item())
        seen = MonitorState(
            endpoint=self._endpoint.name,
            monitor=_LEDGER,
            version_id="",
            watermark=None,
            state=msgspec.json.encode(LedgerState(sequence=self._sequence, looked_at=self._stream.now)),
            updated_at=self._workspace.clock.now(),
        )
        with self._workspace.database.writing() as connection:
            save_state(connection, seen)
            if found:
                save_state(connection, self._state())

    def _keep(self, window: Window, predictions: pl.DataFrame, *, first_time: bool) -> None:
        """Results, state and alerts of a window, in one transaction."""
        measured, groups, own = self._measured(predictions)
        alerts: list[RaiseAlert] = []
        shown: list[DecayFinding] = []
        before = self._watch
        if first_time:
            self._begin(window)
            self.until = window.end
        if own is not None and own.rows and self._watch.judged.of(window.start) is not None:
            alerts, shown = self._consider(window, own, measured[self._champion.version_id], first_time=first_time)
        elif own is not None and own.rows and any(one.start == window.start for one in before.fed):
            # Judged before windows were remembered.
            alerts, shown = self._detect(window, own)
        name, now = self._endpoint.name, self._workspace.clock.now()
        with self._workspace.database.writing() as connection:
            for monitor, by_version in ((MONITOR, measured), (fairness.MONITOR, groups)):
                for version_id, numbers in by_version.items():
                    drop_results(connection, name, version_id, monitor, window.start)
                    save_results(connection, [one.of(name, version_id, window.start, monitor) for one in numbers])
            champion = self._champion.version_id
            save_results(
                connection, [one.measured().of(name, champion, one.window.start, decay.MONITOR) for one in shown]
            )
            save_state(connection, self._state())
            gone = before.standing.keys() - self._watch.standing.keys()
            settle_gone(connection, name, ("objective",), gone, now, why=GONE if first_time else TAKEN_BACK)
            if before.alarmed and not self._watch.alarmed:
                settle_gone(connection, name, ("decay",), (decay.TITLE,), now, why=TAKEN_BACK)
            for alert in alerts:
                raise_alert(self._workspace.inside(connection), self._actor, alert)

    def _measured(
        self, predictions: pl.DataFrame
    ) -> tuple[dict[str, list[Measured]], dict[str, list[Measured]], Outcomes | None]:
        """By version, what a window's labelled predictions say, and what they say of groups; and the champion's outcomes."""
        measured: dict[str, list[Measured]] = {}
        groups: dict[str, list[Measured]] = {}
        own: Outcomes | None = None
        for (version_id,), rows in predictions.group_by(["version_id"], maintain_order=True):
            subject = self._champion
            if version_id != subject.version_id:
                subject = subject_of(self._workspace, str(version_id))
            outcomes = outcomes_of(rows, subject)
            measured[subject.version_id] = [
                *measure_window(subject.task, self._project.objectives, outcomes, rows.height),
                *label_delay(rows),
            ]
            groups[subject.version_id] = measure_groups(subject.task, self._project.objectives, outcomes)
            if subject is self._champion:
                own = outcomes
        return measured, groups, own

    def _begin(self, window: Window) -> None:
        """Remembers a window as one of this watch, so that labels which come late to it count."""
        watch = self._watch
        judged = watch.judged.with_window(JudgedWindow(start=window.start)).newest(self._trigger)
        since = watch.baseline_since or (None if watch.baseline.labels.size else window.start)
        self._watch = msgspec.structs.replace(watch, judged=judged, baseline_since=since)

    def _consider(
        self, window: Window, outcomes: Outcomes, measured: list[Measured], *, first_time: bool
    ) -> tuple[list[RaiseAlert], list[DecayFinding]]:
        """What a window of the champion's says of decay and of the objectives; the watch goes on behind it."""
        alerts, shown = self._detect(window, outcomes)
        alerts += self._objectives(window, measured)
        features, watch = covariates(outcomes.frame, outcomes.scores), self._watch
        if alerts:
            causes = find_causes(self._champion.task, watch.baseline, outcomes, features)
            alerts = [with_causes(one, causes) for one in alerts]
        if first_time:
            rows = (outcomes.labels, outcomes.scores, features)
            baseline = watch.baseline if watch.baseline.full else watch.baseline.with_rows(*rows)
            self._watch = msgspec.structs.replace(watch, memory=watch.memory.with_rows(*rows), baseline=baseline)
        return alerts, shown

    def _objectives(self, window: Window, measured: list[Measured]) -> list[RaiseAlert]:
        """Alerts of objectives that are broken by what is known of a window now, and that people were not told of."""
        watch, trigger = self._watch, self._trigger
        failed = failed_objectives(self._project.objectives, measured)
        known = watch.judged.of(window.start) or JudgedWindow(start=window.start)
        judged = watch.judged.with_window(msgspec.structs.replace(known, labelled=True, failed=failed))
        if trigger.over is not None:
            for one in judged.windows:
                end = window_of(one.start, self._project.windows).end
                hit = window.start <= one.start and end - trigger.over < window.end
                if one.labelled and hit and one.start not in self._measured_over:
                    self._measured_over.add(one.start)
                    over = failed_objectives(self._project.objectives, self._over(end, trigger.over))
                    judged = judged.with_window(msgspec.structs.replace(one, failed_over=over))
        course = list(judged.course(trigger))
        standing = course[-1].standing
        self._watch = msgspec.structs.replace(watch, judged=judged, standing=standing)
        fresh = ((title, began(course, title)) for title in standing if title not in watch.standing)
        return [self._broken(title, at, window, measured) for title, at in fresh if at is not None]

    def _detect(self, window: Window, outcomes: Outcomes) -> tuple[list[RaiseAlert], list[DecayFinding]]:
        """The detector with what is known of a window's losses now: the window itself, and all behind it, anew.

        An alarm that the labels no longer show is taken back; one that they show now is raised for the first window of it.
        """
        reference, watch = self._champion.loss, self._watch
        if reference is None:
            return [], []
        losses = outcomes.by_label(loss_between_0_and_1(self._champion.task, outcomes, reference.scale))
        known = next((one for one in watch.fed if one.start == window.start), None)
        labels = watch.labels if known else (*watch.labels, losses.size)[-_RECENT:]
        budget = self._project.budget_of("decay")
        rate, windows = float(np.mean(labels)), budget.windows(self._project.window)
        detector = watch.detector or decay.begin(reference, self._tolerance, rate, windows)
        detector = decay.paced(detector, reference, rate, windows)
        one = decay.fed_window(detector, reference, window.start, losses, outcomes.rows)
        if known is not None and one.does_as(known):
            return [], []
        fed = decay.in_place(watch.fed, one)
        found = list(decay.course(detector, reference, fed))
        # More labels a window make a larger budget, which takes back no alarm: that was within the budget of its time.
        first = next((each for each in found if each.after.value >= (watch.alarmed_above or detector.budget)), None)
        # What showed an alarm may be too long ago to be looked at again.
        stands = watch.alarmed and (watch.alarmed_at is None or watch.alarmed_at < fed[0].start)
        alerts: list[RaiseAlert] = []
        if first is not None and not watch.alarmed:
            shown_by = window_of(first.window.start, self._project.windows)
            alerts.append(self._alert(shown_by, "decay", decay.TITLE, first.evidence(budget)))
            watch = msgspec.structs.replace(watch, alarmed=True, alarmed_above=detector.budget)
        if first is not None and not stands:
            watch = msgspec.structs.replace(watch, alarmed_at=first.window.start)
        elif first is None and not stands:
            watch = msgspec.structs.replace(watch, alarmed=False, alarmed_at=None, alarmed_above=None)
        self._watch = msgspec.structs.replace(
            watch,
            detector=found[0].after if len(fed) > WINDOWS_BACK else detector,
            fed=fed[-WINDOWS_BACK:],
            labels=labels,
            observed=decay.observed(reference),
        )
        return alerts, [each for each in found if each.window.start >= window.start]

    def _memory_anew(self, judged: Window) -> Memory:
        """The champion's newest labelled predictions of the windows that were judged, by what is known of them now."""
        found, rows = list[Outcomes](), 0
        for one in self._labelled_back(judged):
            found.append(outcomes_of(one, self._champion))
            rows += found[-1].rows
            if rows >= REMEMBERED:
                break
        memory = Memory.empty()
        for each in reversed(found):
            memory = memory.with_rows(each.labels, each.scores, covariates(each.frame, each.scores))
        return memory if found else self._watch.memory

    def _baseline_anew(self, judged: Window) -> Memory:
        """Its first ones, by what is known of them now; as they are where they are from before the windows that are looked at."""
        since, windows = self._watch.baseline_since, self._project.windows
        if since is None or since < judged.start:
            return self._watch.baseline
        found, window = Memory.empty(), window_of(since, windows)
        while window.end <= judged.end and not found.full:
            for one in self._labelled_back(window):
                known = outcomes_of(one, self._champion)
                found = found.with_rows(known.labels, known.scores, covariates(known.frame, known.scores))
            window = window_of(window.end, windows)
        return found

    def _labelled_back(self, stretch: Window) -> Iterator[pl.DataFrame]:
        return labelled_back(self._workspace, self._stream, self._champion.version_id, stretch, self._project.windows)

    def _broken(self, title: str, at: Standing, window: Window, measured: list[Measured]) -> RaiseAlert:
        """The alert of an objective that is broken since a window: the one that is looked at, or one behind it."""
        begun, trigger = window_of(at.start, self._project.windows), self._trigger
        evidence: dict[str, Any]
        if trigger.over is not None:
            evidence, measured = {"over": format_duration(trigger.over)}, self._over(begun.end, trigger.over)
        else:
            evidence = {"windows_in_a_row": at.found[title], "needed": trigger.windows}
            if begun != window:
                measured = self._measured(self._joined(begun))[0][self._champion.version_id]
        evidence["measured"] = [one for one in measured if one.holds is False]
        return self._alert(begun, "objective", title, evidence)

    def _over(self, end: datetime, over: timedelta) -> list[Measured]:
        """The objectives over the stretch that ends with a window, once most of it has labels of the champion."""
        span = Window(start=end - over, end=end)
        rows = self._joined(span).filter(pl.col("version_id") == self._champion.version_id)
        if rows.is_empty() or not covers(span, rows["event_time"]):
            return []
        return measure_span(self._project.objectives, outcomes_of(rows, self._champion))

    @property
    def _trigger(self) -> Broken:
        return next((one for one in self._project.retraining.on if isinstance(one, Broken)), Broken())

    def _alert(self, window: Window, kind: Any, title: str, evidence: dict[str, Any]) -> RaiseAlert:
        span = {"start": format_time(window.start), "end": format_time(window.end)}
        return RaiseAlert(
            project=self._project.name,
            endpoint=self._endpoint.name,
            kind=kind,
            severity="critical",
            title=title,
            evidence=msgspec.to_builtins({"window": span, "version": self._champion.number, **evidence}),
            version_id=self._champion.version_id,
            event_time=window.end,
        )

    def _continued(self, watch: VersionWatch | None, acted_at: datetime | None) -> VersionWatch:
        """The watch as it stood; a new one for a new champion; started anew where a training has acted on it."""
        if watch is None or watch.version_id != self._champion.version_id:
            return VersionWatch(version_id=self._champion.version_id, acted_at=acted_at, memory=Memory.empty())
        if acted_at is not None and (watch.acted_at is None or watch.acted_at < acted_at):
            return msgspec.structs.replace(
                watch,
                acted_at=acted_at,
                detector=None,
                fed=(),
                alarmed=False,
                alarmed_at=None,
                alarmed_above=None,
                judged=watch.judged.unlabelled(),
                standing={},
            )
        return watch

    @property
    def _tolerance(self) -> float:
        return next((one.tolerance for one in self._project.retraining.on if isinstance(one, Decay)), 0.0)

    def _joined(self, window: Window) -> pl.DataFrame:
        predictions = self._stream.window(window)
        if predictions.is_empty():
            return pl.DataFrame(schema={"version_id": pl.String})
        return ledger.join(self._workspace, predictions.lazy(), self._endpoint.name).collect()

    def _late(self, judged: Window) -> set[Window]:
        """The windows, within a stretch of them, to which predictions have come since the last look that were not measured."""
        grown = self._stream.grown_since(self._late_since, judged, self._project.windows, shadows=True)
        if not grown:
            return set()
        with self._workspace.database.reading() as connection:
            known = results_of(
                connection,
                self._endpoint.name,
                monitor=MONITOR,
                metric="coverage",
                since=min(grown).start,
                until=max(grown).end,
                limit=_MOST_RESULTS,
            )
        measured = Counter[datetime]()
        for one in known:
            measured[one.start] += one.rows
        return {window for window, rows in grown.items() if rows > measured[window.start]}

    def _touched(self, fresh: pl.DataFrame, judged: Window) -> set[Window]:
        """The windows that the predictions of these labels lie in, within a stretch of them."""
        rows = self._stream.rows()
        if rows is None or fresh.is_empty():
            return set()
        inside = rows.filter(pl.col("event_time").is_between(judged.start, judged.end, closed="left"))
        hit = pl.col("id").is_in(fresh["prediction_id"].drop_nulls().implode()) | pl.col("key").is_in(
            fresh["key"].drop_nulls().implode()
        )
        moments = inside.filter(hit).select("event_time").collect()["event_time"].to_list()
        return {window_of(moment, self._project.windows) for moment in moments}

    def _state(self) -> MonitorState:
        return MonitorState(
            endpoint=self._endpoint.name,
            monitor=STATE,
            version_id="",
            watermark=self.until,
            state=encode(LabelledState(sequence=self._sequence, champion=self._watch)),
            updated_at=self._workspace.clock.now(),
        )


def looks_back(workspace: Workspace, endpoint: str, known: Mapping[str, MonitorState]) -> bool:
    """Whether labels have come that no look has seen, and it is time for one: by the clock, as they do not move event time.

    `known` is what the endpoint's monitors remember, by the monitor. Before the first window was judged there is
    nothing that a label could come late to.
    """
    # The clock may have been set back.
    if STATE not in known or abs(workspace.clock.now() - known[STATE].updated_at) < _LOOK_EVERY:
        return False
    seen = msgspec.json.decode(known[_LEDGER].state, type=LedgerState).sequence if _LEDGER in known else 0
    return ledger.newest(workspace, endpoint) > seen


def outcomes_of(joined: pl.DataFrame, subject: Subject) -> Outcomes:
    """The rows of one version that have a label which its model knows, and an answer that can be judged."""
    rows = joined.filter(pl.col("label").is_not_null())
    known = encode_known(rows["label"], subject.classes)
    scores = scores_of(rows, subject.task)
    usable = np.isfinite(known) & answered(scores, subject.task)
    return Outcomes(
        frame=features_of(rows).filter(pl.Series(usable)),
        labels=known[usable],
        scores=scores[usable],
        label_numbers=rows["label_sequence"].to_numpy()[usable],
    )
