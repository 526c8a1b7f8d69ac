"""Which rows a retraining learns from, by the project's rule: all, the newest, or those since the change."""

from datetime import datetime, timedelta

from kept.core.clock import format_time, parse_time
from kept.core.durations import format_duration
from kept.loop.context import LoopContext
from kept.loop.records import decisions_of
from kept.loop.triggers import ALARMS, Choice, training_range
from kept.monitoring.change import broken_since, change_point
from kept.monitoring.records import alerts_of, results_of

_MOST = 10_000


def training_data(
    context: LoopContext, choice: Choice, now: datetime, last: datetime
) -> tuple[str | None, str, datetime | None]:
    """How much event time to learn from (None for what the project declares), the rule as a sentence, and the change."""
    policy = context.plan.retraining
    if policy.since_change is not None and (change := change_of(context, choice, last)) is not None:
        length = _whole_seconds(max(now - change, policy.since_change))
        least = f", {format_duration(policy.since_change)} at least" if now - change < policy.since_change else ""
        return format_duration(length), f"on the rows since the change of {format_time(change)}{least}", change
    start, _ = training_range(policy, now)
    return None, "on all rows" if start is None else f"on the rows since {format_time(start)}", None


def change_of(context: LoopContext, choice: Choice, last: datetime) -> datetime | None:
    """When the change began that set off a training; None where no detector or objective told of one."""
    if choice.trigger == "follow_up":
        return _change_followed(context)
    if choice.trigger not in ALARMS:
        return None
    named = {name for one in choice.evidence["triggers"] for name in one.get("alerts", ())}
    with context.workspace.database.reading() as connection:
        alerts = alerts_of(connection, endpoint=context.endpoint, kind=choice.trigger, since=last, limit=_MOST)
        told = [(one.event_time, one.id, one) for one in alerts if one.id in named and one.event_time is not None]
        if not told:
            return None
        # By event time: what labels that came late tell of may lie before what was told first.
        first_at, _, first = min(told, key=lambda one: one[:2])
        results = results_of(
            connection,
            context.endpoint,
            monitor="performance" if choice.trigger == "objective" else choice.trigger,
            metric="coverage" if choice.trigger == "objective" else choice.trigger,
            version_id=context.champion,
            since=last,
            # It may be the labels of an old window that came last and made the detector of decay alarm.
            until=None if choice.trigger == "decay" else first_at,
            limit=_MOST,
        )
    if choice.trigger == "objective":
        return broken_since(first, context.plan.window, [one.start for one in results if one.value])
    return change_point(results)


def _change_followed(context: LoopContext) -> datetime | None:
    """The change of the training that is followed."""
    with context.workspace.database.reading() as connection:
        asked = decisions_of(connection, context.plan.name, endpoint=context.endpoint, kinds=["retrain"], limit=_MOST)
    alarmed = [one for one in asked if one.trigger in ALARMS and one.event_time is not None]
    if not alarmed:
        return None
    told = max(alarmed, key=lambda one: (one.event_time, one.id)).evidence.get("change")
    return None if told is None else parse_time(told, where="change")


def _whole_seconds(length: timedelta) -> timedelta:
    """As much or up to a second more, so that the text of it reads back as it was."""
    return timedelta(seconds=-(-length // timedelta(seconds=1)))
