"""The monitoring plan of a project, from its stored declaration: the project's code is not run here."""

from datetime import timedelta

import msgspec

from kept.measures.drift.cycle import UTC, Cycle
from kept.monitoring.budget import Budget, Detector, budget_of
from kept.monitoring.feature_skew import views_of
from kept.plan.objective import Objective
from kept.plan.policy import Release, Retrain
from kept.plan.records import ProjectRecord
from kept.plan.reference import TRAINING
from kept.plan.specs import FeatureViewSpec
from kept.plan.windows import MOST_LATE_WINDOWS, Windows

_A_DAY = timedelta(days=1)


class MonitoringPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched, against what, and what follows."""

    name: str
    window: timedelta
    drift_budget: timedelta
    """At most one false alarm in such a time, by all detectors of an endpoint together."""
    silent_after: timedelta | None = None
    """How long no request may come before it alarms, by the clock; None for ever."""
    unlabelled_after: timedelta | None = None
    """How long no label may come, while predictions wait for some."""
    max_skew: float = 0.01
    """The share of a feature's values that may be served otherwise than they are stored."""
    allowed_lateness: timedelta | None = None
    """How long after a window's end its rows may come; None for a day."""
    views: dict[str, FeatureViewSpec] = {}
    """Feature views as the record tells them: to join what is stored."""
    reference: str = TRAINING
    """What drift of the inputs is held against (`kept.plan.reference`)."""
    season: Cycle | None = None
    """What windows are told apart by, if they are."""
    time_zone: str = UTC
    """By whose clock."""
    explained_rows: int = 0
    """Predictions of each window whose contributions are watched; 0 for none."""
    objectives: tuple[Objective, ...]
    label_delay: timedelta
    """How long labels take; zero where they carry their own time."""
    retraining: Retrain
    releasing: Release

    @property
    def windows(self) -> Windows:
        """How event time is cut."""
        return Windows(length=self.window, zone=self.time_zone)

    @property
    def lateness(self) -> timedelta:
        """How long after a window's end its rows may come: as declared, else a day, within the windows that are remembered."""
        allowed = _A_DAY if self.allowed_lateness is None else self.allowed_lateness
        return min(allowed, MOST_LATE_WINDOWS * self.window)

    def budget_of(self, detector: Detector) -> Budget:
        """What a detector has of the budget of false alarms."""
        return budget_of(detector, self.drift_budget, explained=self.explained_rows > 0)


class _Monitor(msgspec.Struct, frozen=True, kw_only=True):
    window: timedelta = timedelta(days=1)
    false_alarm_every: timedelta = timedelta(days=90)
    silent_after: timedelta | None = None
    unlabelled_after: timedelta | None = None
    max_skew: float = 0.01
    allowed_lateness: timedelta | None = None
    reference: str = TRAINING
    season: Cycle | None = None
    time_zone: str = UTC
    explained_rows: int = 0


def monitoring_plan(record: ProjectRecord) -> MonitoringPlan:
    """The part of a project's declarations that is needed after its training."""
    plan = record.plan
    monitor = msgspec.convert(plan.get("monitor", {}), _Monitor)
    dataset = plan.get("dataset") or {}
    return MonitoringPlan(
        name=record.name,
        window=monitor.window,
        drift_budget=monitor.false_alarm_every,
        silent_after=monitor.silent_after,
        unlabelled_after=monitor.unlabelled_after,
        max_skew=monitor.max_skew,
        allowed_lateness=monitor.allowed_lateness,
        views=views_of(plan),
        reference=monitor.reference,
        season=monitor.season,
        time_zone=monitor.time_zone,
        explained_rows=monitor.explained_rows,
        objectives=msgspec.convert(plan.get("objectives", ()), tuple[Objective, ...]),
        label_delay=msgspec.convert(dataset.get("label_delay", timedelta(0)), timedelta),
        retraining=msgspec.convert(plan.get("retrain", {}), Retrain),
        releasing=msgspec.convert(plan.get("release", {}), Release),
    )
