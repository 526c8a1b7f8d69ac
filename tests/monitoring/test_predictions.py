"""Drift of what a version says, against its own first windows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from kept.measures.arrays import Floats, decode, encode
from kept.measures.drift.detector import DriftFinding
from kept.monitoring.budget import Budget
from kept.monitoring.predictions import PredictionWatch, continued, evidence_of, feed, measured
from kept.monitoring.window import Window, window_of
from kept.plan.specs import Task
from kept.plan.windows import Windows

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def scores(random: np.random.Generator, shift: float, classes: int) -> Floats:
    wander = 0.05 * random.normal()
    if classes == 1:
        return 1 / (1 + np.exp(-random.normal(shift + wander, 1, 300)))
    raw = np.exp(random.normal(size=(300, classes)) + np.array([shift + wander, *[0.0] * (classes - 1)]))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def run(task: Task, seed: int, shifts: list[float], classes: int = 1) -> tuple[PredictionWatch, list[DriftFinding]]:
    random, watch, found = np.random.default_rng(seed), continued(None, "v1", None), []
    for day, shift in enumerate(shifts):
        told = scores(random, shift, classes)
        watch, one = feed(
            decode(encode(watch), PredictionWatch), task, told, 90, window_of(NOON + day * DAY, Windows(length=DAY))
        )
        found += [one] if one is not None else []
    return watch, found


@pytest.mark.parametrize(("task", "classes"), [("binary", 1), ("regression", 1), ("multiclass", 4)])
def test_a_change_of_the_answers_is_seen_after_the_accepted_period(task: Task, classes: int) -> None:
    watch, found = run(task, 0, [0.0] * 20 + [0.5] * 3, classes)
    assert len(found) == 13
    assert not any(one.alarm for one in found[:10])
    assert found[-1].alarm
    assert watch.alarmed
    assert measured(found[-1])[0].metric == "predictions"
    told = evidence_of(
        found[-1], Budget(whole=timedelta(days=90), share=0.2), Window(start=NOON, end=NOON + timedelta(days=1))
    )
    assert told["against"] == "this version's first 10 windows of serving"
    assert told["causes"]


def test_quiet_answers_keep_the_budget() -> None:
    alarms = sum(any(one.alarm for one in run("binary", seed, [0.0] * 30)[1]) for seed in range(20))
    # 400 windows at one in 90 allow 4.4 on average.
    assert alarms <= 4


def test_a_new_version_begins_anew_and_an_act_starts_the_detector_anew() -> None:
    watch, _ = run("binary", 0, [0.0] * 12)
    assert continued(watch, "v1", None) is watch
    acted = continued(watch, "v1", NOON)
    assert (acted.detector, acted.reference) == (None, watch.reference)
    assert continued(acted, "v1", NOON) is acted
    assert continued(watch, "v2", NOON).reference is None


def test_thin_windows_and_other_shapes_are_left_out() -> None:
    watch, _ = run("binary", 0, [0.0] * 12)
    window = window_of(NOON, Windows(length=DAY))
    assert feed(watch, "binary", np.full(5, 0.5), 90, window) == (watch, None)
    assert feed(watch, "multiclass", np.full((50, 3), 1 / 3), 90, window) == (watch, None)
    assert feed(watch, "binary", np.full(50, np.nan), 90, window) == (watch, None)


def test_answers_with_a_rhythm_are_held_against_their_own_hour() -> None:
    """Nights are answered unlike days: two whole days are the accepted period, and the third is like them."""
    random, watch, alarms = np.random.default_rng(1), continued(None, "v1", None), []
    for part in range(36):
        begin = datetime(2013, 4, 1, tzinfo=UTC) + part * timedelta(hours=4)
        night = 2.0 if begin.hour < 8 else 0.0
        window = window_of(begin, Windows(length=timedelta(hours=4)))
        changed = 0.6 if part >= 30 else 0.0
        watch, one = feed(watch, "binary", scores(random, night + changed, 1), 90, window, "hour of day")
        alarms += [] if one is None else [(part, one.alarm)]
    assert [part for part, _ in alarms] == list(range(12, 36))
    assert not any(alarm for part, alarm in alarms if part < 30)
    assert alarms[-1][1]


@pytest.mark.parametrize(("length", "classes"), [(timedelta(minutes=5), 1), (timedelta(hours=1), 100)])
def test_what_is_collected_stays_small_however_many_windows_and_classes(length: timedelta, classes: int) -> None:
    """It is written with every window until there are enough: a fortnight of them where weekdays are told apart."""
    random = np.random.default_rng(0)
    task: Task = "binary" if classes == 1 else "multiclass"
    said = random.dirichlet(np.ones(classes), 1_500) if classes > 1 else random.uniform(size=1_500)
    watch, enough = continued(None, "v1", None), timedelta(days=14) // length
    for part in range(20):
        watch, _ = feed(watch, task, said, 90, window_of(NOON + part * length, Windows(length=length)), "day of week")
    assert all(each.shape[0] >= 30 for each in watch.collected)
    assert len(encode(watch)) / 20 * enough < 12_000_000
