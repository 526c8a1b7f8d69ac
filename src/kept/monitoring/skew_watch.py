"""Skew by itself: a version's first rows against its training rows at each release, and served values against the store.

Values of a window are held against the store once a training has stored the views up to then: before, the store does not
know what it would have told. The test of values may be looked at after every window (`measures.rates`); it begins anew
with each round of sampled values, and takes those of one entity in a window for as much as they tell apart (`measures.clusters`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any

import msgspec
import polars as pl

from kept.core.clock import format_time
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.measures.clusters import ClusteredCounts
from kept.measures.drift.detector import DriftFinding
from kept.measures.groups import group_rate
from kept.measures.rates import rate_evidence
from kept.monitoring import drift
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.conditions import news
from kept.monitoring.feature_skew import FeatureSkew, compare_values, stored_until, stored_views
from kept.monitoring.performance import Measured
from kept.monitoring.plan import MonitoringPlan
from kept.monitoring.records import find_state, save_results, save_state
from kept.monitoring.result import MonitorState
from kept.monitoring.settling import settle_gone
from kept.monitoring.skew import (
    ENOUGH,
    answers_of,
    compare_with_training,
    evenly,
    first_windows,
    said,
)
from kept.monitoring.stream import Stream
from kept.monitoring.subject import Subject, asked_alike
from kept.monitoring.window import Window, closed_windows, first_whole, window_of
from kept.plan.reference import in_words
from kept.serving.logrules import log_rules

MONITOR = "skew"
RELEASE = "release"
VALUES = "served_otherwise"
TITLE = "what is asked in serving differs from the training rows"

_SAMPLE_A_DAY, _LEAST_SAMPLE = 200, 20
# Values of all features together are told of without cause in at most 1 of 100 rounds, however often they are looked at.
# A round ends after so many values of a feature: with a year of good ones behind it, it would take months to see bad ones.
_SURE = 100.0
_ROUND = 2_000
_WINDOWS_AT_ONCE = 20
_NAMED = 5


class SkewState(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared."""

    version_id: str = ""
    """The champion."""
    compared: bool = False
    """Whether its first rows were."""
    looked_until: datetime | None = None
    """Up to when they were looked for."""
    until: datetime | None = None
    """End of the last window whose values were."""
    sampled: dict[str, ClusteredCounts] = {}
    """Of each feature the sampled values of this round that were served otherwise, by the entities of each window."""
    standing: dict[str, int] = {}
    """Conditions that last, and for how many windows each has been away."""


class SkewWatch:
    """Watches one endpoint's skew. What it remembers is in the store."""

    def __init__(
        self,
        workspace: Workspace,
        actor: Actor,
        plan: MonitoringPlan,
        champion: Subject,
        endpoint: str,
    ) -> None:
        self._workspace = workspace
        self._actor = actor
        self._plan = plan
        self._champion = champion
        self._endpoint = endpoint
        self._hidden = log_rules(workspace.settings).redacted
        with workspace.database.reading() as connection:
            known = find_state(connection, endpoint, MONITOR, "")
        self._state = msgspec.json.decode(known.state, type=SkewState) if known else SkewState()

    @cached_property
    def _stream(self) -> Stream:
        """The endpoint's predictions: opened only where something is due."""
        return Stream(self._workspace, self._endpoint)

    def look(self, first: datetime, watermark: datetime, champion_since: datetime | None) -> None:
        """Compares what is due, as what is remembered tells: a look that was cut short is made up for by the next.

        Args:
            first: the oldest event time of the endpoint.
            watermark: the newest.
            champion_since: when the champion took over; None for the beginning.
        """
        fresh = self._state.version_id != self._champion.version_id
        if fresh:
            self._state = msgspec.structs.replace(
                self._state,
                version_id=self._champion.version_id,
                compared=self._champion.reference is None,
                looked_until=None,
            )
            self._save([], [], gone=[TITLE])
        last = window_of(watermark, self._plan.windows).start
        if not self._state.compared and (self._state.looked_until is None or self._state.looked_until < last):
            self._release(first_whole(champion_since or first, self._plan.windows), last)
        if self._plan.views:
            self._values(first, watermark)

    def _release(self, since: datetime, last: datetime) -> None:
        """Holds the first whole windows of the champion that have ended by `last` against its training rows, once enough."""
        self._state = msgspec.structs.replace(self._state, looked_until=last)
        own = answers_of(self._stream, self._champion.version_id)
        if own is None:
            return
        rows = first_windows(
            own.filter(pl.col("event_time").is_between(since, last, closed="left")), self._plan.windows
        )
        if rows.height < ENOUGH:
            self._save([], [])
            return
        end = window_of(rows["event_time"][-1], self._plan.windows).end
        finding = compare_with_training(self._workspace, self._champion, rows, self._hidden, self._plan.windows)
        self._state = msgspec.structs.replace(self._state, compared=True)
        if finding is None:
            self._save([], [])
            return
        window = window_of(rows["event_time"][0], self._plan.windows)
        whole = msgspec.structs.replace(drift.measured(finding), metric=RELEASE)
        alerts = [self._release_alert(finding, end)] if finding.alarm else []
        self._save([(window, [whole, *drift.measured_columns(finding)])], alerts)

    def _values(self, first: datetime, watermark: datetime) -> None:
        """Holds a sample of each window against the store, as far as the store knows what it would have told."""
        known = stored_until(self._workspace, self._plan.name, self._plan.views)
        if known is None:
            return
        until, begin = (
            min(known, watermark),
            self._state.until or window_of(first, self._plan.windows).start,
        )
        if next(closed_windows(begin, until, self._plan.windows), None) is None:
            return
        views = stored_views(self._workspace, self._plan.name, self._plan.views, [])
        a_day = min(self._plan.window / timedelta(days=1), 1.0)
        size = max(round(_SAMPLE_A_DAY * a_day), _LEAST_SAMPLE)
        windows = list(islice(self._windows(begin, until), _WINDOWS_AT_ONCE))
        for window in windows:
            sample = evenly(self._answers(window), size)
            self._judge(window, () if sample.is_empty() else compare_values(sample, views, [], self._hidden))
        if len(windows) < _WINDOWS_AT_ONCE:
            self._state = msgspec.structs.replace(self._state, until=window_of(until, self._plan.windows).start)
            self._save([], [])

    def _windows(self, begin: datetime, until: datetime) -> Iterator[Window]:
        """Closed windows in which something was asked: one event of 1970 does not make a window of every day since."""
        while (event := self._stream.next_event(begin)) is not None:
            window = window_of(event, self._plan.windows)
            if window.end > until:
                return
            yield window
            begin = window.end

    def _judge(self, window: Window, values: tuple[FeatureSkew, ...]) -> None:
        sampled, sure = dict(self._state.sampled), _SURE * max(len(values), 1)
        results, found = [], {}
        for one in values:
            title = f"{one.feature} is served otherwise than it is stored"
            before = sampled.get(one.feature, ClusteredCounts())
            if before.trials >= _ROUND and title not in self._state.standing:
                before = ClusteredCounts()
            sampled[one.feature] = total = before + one.by_entity
            rate = group_rate(one.feature, *one.by_entity.effective)
            skewed = rate_evidence(*total.effective, self._plan.max_skew) >= sure and rate.value > self._plan.max_skew
            results.append(
                Measured(
                    metric=VALUES,
                    slice=one.feature,
                    value=rate.value,
                    low=rate.low,
                    high=rate.high,
                    rows=one.rows,
                    holds=not skewed,
                )
            )
            if skewed:
                found[title] = self._alert(title, self._evidence(window, one, total), window.end)
        alerts, standing = news(self._state.standing, found) if values else ([], self._state.standing)
        gone = self._state.standing.keys() - standing.keys()
        self._state = msgspec.structs.replace(
            self._state,
            until=window.end,
            # What has gone is counted anew, so that it is seen as soon when it comes back.
            sampled={
                name: held for name, held in sampled.items() if not any(one.startswith(f"{name} ") for one in gone)
            },
            standing=standing,
        )
        self._save([(window, results)], alerts, gone=gone)

    def _evidence(self, window: Window, one: FeatureSkew, total: ClusteredCounts) -> dict[str, Any]:
        cause = (
            f"{one.feature}: of {one.rows:,} sampled requests {one.different:,} carried another value than was stored,"
            f" {one.missing_at_serving:,} none, {one.missing_in_store:,} one where none was stored"
        )
        return {
            "column": one.feature,
            "window": {"start": format_time(window.start), "end": format_time(window.end)},
            "causes": [cause],
            "declared": f"at most {self._plan.max_skew:.3%} of values",
            "share": (one.rows - one.equal) / one.rows,
            "sampled": total.trials,
            "otherwise": total.events,
            "independent": round(total.effective[1]),
            "promise": f"at most one mistake in 100 rounds of {_ROUND:,} sampled values, however often it is looked at",
            "predictions": [each.prediction for each in one.examples],
        }

    def _release_alert(self, finding: DriftFinding, until: datetime) -> RaiseAlert:
        names = [column for column in finding.columns if column.listed] or list(finding.columns[:1])
        evidence = {
            "causes": [said(finding, in_words(self._plan.reference))],
            "version": self._champion.number,
            "rows": finding.rows,
            "columns": [msgspec.to_builtins(column) for column in names[:_NAMED]],
            "promise": "a mistake in at most 1% of releases",
        }
        return self._alert(TITLE, evidence, until)

    def _alert(self, title: str, evidence: dict[str, Any], at: datetime) -> RaiseAlert:
        return RaiseAlert(
            project=self._plan.name,
            endpoint=self._endpoint,
            kind="skew",
            severity="warning",
            title=title,
            evidence=evidence,
            version_id=self._champion.version_id,
            event_time=at,
        )

    def _answers(self, window: Window) -> pl.DataFrame:
        rows = self._stream.window(window).filter(pl.col("role") != "shadow")
        return asked_alike(self._workspace, self._champion, rows)

    def _save(self, measured: list[tuple[Window, list[Measured]]], alerts: list[RaiseAlert], *, gone: Any = ()) -> None:
        """Results, state and alerts, in one transaction."""
        name, version_id, now = self._endpoint, self._champion.version_id, self._workspace.clock.now()
        state = MonitorState(
            endpoint=name,
            monitor=MONITOR,
            version_id="",
            watermark=self._state.until,
            state=msgspec.json.encode(self._state),
            updated_at=now,
        )
        with self._workspace.database.writing() as connection:
            for window, found in measured:
                save_results(connection, [one.of(name, version_id, window.start, MONITOR) for one in found])
            save_state(connection, state)
            settle_gone(connection, name, ("skew",), gone, now)
            for alert in alerts:
                raise_alert(self._workspace.inside(connection), self._actor, alert)
