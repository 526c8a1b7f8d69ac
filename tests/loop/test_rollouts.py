from datetime import UTC, datetime, timedelta

import polars as pl

from kept.deployment.rollout import RolloutStep
from kept.loop.rollouts import time_in_step

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def step(event_time: datetime | None = None) -> RolloutStep:
    return RolloutStep(state="canary", step=0, share=0.1, reason="", by="ada", at=NOON, event_time=event_time)


def answers(*moments: datetime) -> pl.DataFrame:
    return pl.DataFrame({"event_time": list(moments)}, schema={"event_time": pl.Datetime("us", "UTC")})


def test_a_straggler_does_not_make_a_step_old() -> None:
    """A person released it without telling an event time, and requests are about the present."""
    late = answers(NOON - 240 * HOUR, NOON + HOUR)
    assert time_in_step(late, step(), NOON + HOUR) == HOUR


def test_where_old_events_are_replayed_a_step_begins_with_its_first() -> None:
    year = timedelta(days=365)
    replayed = answers(NOON - year, NOON - year - 5 * HOUR, NOON - year + HOUR)
    assert time_in_step(replayed, step(), NOON - year + HOUR) == HOUR
    assert time_in_step(answers(), step(), NOON - year) == timedelta(0)


def test_what_was_told_counts() -> None:
    assert time_in_step(answers(), step(NOON - HOUR), NOON + HOUR) == 2 * HOUR
    assert time_in_step(answers(), step(NOON + HOUR), NOON) == timedelta(0)
