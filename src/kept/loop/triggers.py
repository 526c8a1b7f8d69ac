"""Triggers: whether to train again now. Pure: a policy and a situation give a choice with its reasons."""

from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Literal

import msgspec

from kept.core.clock import format_time
from kept.core.durations import format_duration
from kept.monitoring.alert import Alert
from kept.plan.policy import Broken, Decay, Drift, Estimated, Every, NewData, Retrain, Trigger

TriggerName = Literal["decay", "objective", "estimate", "drift", "follow_up", "schedule", "data", "person", "none"]

_ALERT_KINDS: dict[type, TriggerName] = {Decay: "decay", Broken: "objective", Drift: "drift"}
# What is known to hurt comes before what may hurt, and both before habit.
_ORDER: tuple[TriggerName, ...] = ("decay", "objective", "estimate", "drift", "follow_up", "data", "schedule")

ALARMS = frozenset(_ALERT_KINDS.values())


class EstimatedWindow(msgspec.Struct, frozen=True, kw_only=True):
    """What was estimated of a window before its labels came, where the estimate can be trusted."""

    end: datetime
    failing: tuple[str, ...]
    """The metrics whose whole interval breaks an objective."""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an endpoint when the question is asked. Times are event times."""

    now: datetime
    last_training: datetime
    """Up to when the last training knew the world."""
    alerts: tuple[Alert, ...] = ()
    """Alerts since the last training, of the kinds that the policy names."""
    labelled_rows: int = 0
    """Labelled predictions since the last training."""
    trainings: tuple[datetime, ...] = ()
    """When the loop has trained of its own accord."""
    changed: datetime | None = None
    """When it last trained for an alarm."""
    followed: int = 0
    """Trainings that have followed that one."""
    estimates: tuple[EstimatedWindow, ...] = ()
    """The windows since the last training whose performance was estimated, oldest first: not always one after another."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """To train again, or not now (`hold`, when something was raised but does not count yet), or nothing to say."""

    action: Literal["retrain", "hold", "none"]
    trigger: TriggerName
    reason: str
    evidence: dict[str, Any]


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger that holds, and since when."""

    trigger: TriggerName
    since: datetime
    reason: str
    evidence: dict[str, Any]


def choose(policy: Retrain, situation: Situation) -> Choice:
    """Whether to train again.

    A trigger counts once it has been raised for the policy's `debounce` (a window that says nothing of it leaves it
    raised), the `cooldown` since the last training is
    over, and the budget is not used up (`at_most` trainings in each `per`); one that is raised meanwhile waits, it is
    not lost. The choice depends only on what is handed in, so asking
    again with the same facts gives the same answer.
    """
    found = [_follow_up(policy, situation), *(_raised(trigger, situation) for trigger in policy.on)]
    raised = sorted((one for one in found if one is not None), key=lambda one: _ORDER.index(one.trigger))
    if not raised:
        return Choice(action="none", trigger="none", reason="no trigger is raised", evidence={})
    evidence = {
        "triggers": [{"trigger": one.trigger, "since": format_time(one.since), **one.evidence} for one in raised],
        "last_training": format_time(situation.last_training),
    }
    ready_at = situation.last_training + policy.cooldown
    if situation.now < ready_at:
        wait = f"the cool-down of {format_duration(policy.cooldown)} lasts until {format_time(ready_at)}"
        return _hold(raised[0], wait, evidence)
    ripe = [one for one in raised if situation.now - one.since >= policy.debounce]
    if not ripe:
        ripe_at = min(one.since for one in raised) + policy.debounce
        return _hold(raised[0], f"it counts if it is still raised at {format_time(ripe_at)}", evidence)
    free_at = _budget_free_at(policy, situation)
    if free_at is not None:
        budget = f"the budget of {policy.at_most} trainings in {format_duration(policy.per)}"
        return _hold(ripe[0], f"{budget} is used up until {format_time(free_at)}", evidence)
    return Choice(action="retrain", trigger=ripe[0].trigger, reason=ripe[0].reason, evidence=evidence)


def alarms_named(policy: Retrain) -> list[TriggerName]:
    """The kinds of alerts that the policy trains for."""
    return list(dict.fromkeys(_ALERT_KINDS[type(one)] for one in policy.on if type(one) in _ALERT_KINDS))


def _budget_free_at(policy: Retrain, situation: Situation) -> datetime | None:
    """When the next training may begin; None when it may now."""
    if policy.at_most is None:
        return None
    spent = sorted(one for one in situation.trainings if situation.now - policy.per < one <= situation.now)
    return spent[-policy.at_most] + policy.per if len(spent) >= policy.at_most else None


def training_range(policy: Retrain, until: datetime) -> tuple[datetime | None, datetime]:
    """The event times to train on: the policy's window up to `until`, or everything before it."""
    return (None if policy.window is None else until - policy.window), until


def _hold(raised: Raised, why: str, evidence: dict[str, Any]) -> Choice:
    return Choice(action="hold", trigger=raised.trigger, reason=f"{raised.reason}; {why}", evidence=evidence)


def _raised(trigger: Trigger, situation: Situation) -> Raised | None:
    if isinstance(trigger, Every):
        return _by_schedule(trigger.interval, situation)
    if isinstance(trigger, NewData):
        return _by_data(trigger.rows, situation)
    if isinstance(trigger, Estimated):
        return _by_estimate(trigger.windows, situation)
    kind = _ALERT_KINDS[type(trigger)]
    found = [alert for alert in situation.alerts if alert.kind == kind and alert.event_time is not None]
    if not found:
        return None
    first = min(found, key=lambda alert: (alert.event_time or situation.now, alert.id))
    return Raised(
        trigger=kind,
        since=first.event_time or situation.now,
        reason=first.title,
        evidence={"alerts": [alert.id for alert in found]},
    )


def _follow_up(policy: Retrain, situation: Situation) -> Raised | None:
    """Right after a change there are few rows to learn it from, and the model that they give sets its own level."""
    if situation.changed is None or situation.followed >= policy.follow_up:
        return None
    due = situation.changed + policy.cooldown * (2 ** (situation.followed + 1) - 1)
    if situation.now < due:
        return None
    reason = f"what has come since the training of {format_time(situation.changed)} has doubled"
    # It has waited already.
    return Raised(
        trigger="follow_up",
        since=situation.changed,
        reason=reason,
        evidence={"changed": format_time(situation.changed), "followed": situation.followed},
    )


def _by_estimate(windows: int, situation: Situation) -> Raised | None:
    """Raised from the last of so many failing windows in a row on, until one does not fail.

    A window without an estimate tells of neither: it is passed over, and the evidence names the stretch.
    """
    failing = list(takewhile(lambda one: one.failing, reversed(situation.estimates)))
    if len(failing) < windows:
        return None
    metrics = ", ".join(failing[0].failing)
    return Raised(
        trigger="estimate",
        since=failing[-windows].end,
        reason=f"by estimate the objective does not hold for {metrics}, {windows} windows in a row",
        evidence={
            "windows": len(failing),
            "metrics": list(failing[0].failing),
            "from": format_time(failing[-1].end),
            "until": format_time(failing[0].end),
        },
    )


def _by_schedule(interval: timedelta, situation: Situation) -> Raised | None:
    due = situation.last_training + interval
    if situation.now < due:
        return None
    reason = f"{format_duration(interval)} have passed since the last training"
    return Raised(trigger="schedule", since=due, reason=reason, evidence={"interval": format_duration(interval)})


def _by_data(rows: int, situation: Situation) -> Raised | None:
    if situation.labelled_rows < rows:
        return None
    reason = f"{rows} labelled rows have come since the last training"
    # When the row that completed them came is not known: a debounce counts from the last training.
    return Raised(
        trigger="data",
        since=situation.last_training,
        reason=reason,
        evidence={"labelled_rows": situation.labelled_rows, "rows": rows},
    )
