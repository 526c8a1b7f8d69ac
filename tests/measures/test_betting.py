import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Damaged, Invalid
from kept.measures.arrays import decode, encode
from kept.measures.betting import LabelDetector, level_from, start_label_detector, watch_losses


def plain_value(level: float, losses: Any) -> Any:
    bets = 0.64 / level * 0.5 ** np.arange(7)
    values = np.zeros(7)
    for loss in losses:
        values = (1 + values) * (1 + bets * (loss - level))
    return values.mean()


losses_lists = st.lists(st.floats(0, 1), max_size=60)


@given(losses=losses_lists, cut=st.integers(0, 60), level=st.floats(0.01, 0.9))
def test_any_cut_into_batches_gives_the_recursion(losses: list[float], cut: int, level: float) -> None:
    state = start_label_detector(level, 100)
    for part in (losses[:cut], losses[cut:]):
        state, _ = watch_losses(state, np.array(part))
    assert state.labels == len(losses)
    assert state.value == pytest.approx(plain_value(level, losses), rel=1e-9, abs=1e-12)


def test_the_alarm_names_the_first_label_at_which_it_is_due() -> None:
    losses = np.append(np.zeros(50), np.ones(200))
    state, finding = watch_losses(start_label_detector(0.1, 1_000), losses)
    assert finding.alarm
    first = next(i for i in range(losses.size) if plain_value(0.1, losses[: i + 1]) >= 1_000)
    assert finding.alarm_at == first
    assert state.value == finding.value > 1_000


def test_false_alarms_stay_within_the_budget_even_at_the_level() -> None:
    random = np.random.default_rng(8)
    alarms = 0
    for _ in range(200):
        _, finding = watch_losses(start_label_detector(0.1, 5_000), random.random(1_000) < 0.1)
        alarms += finding.alarm
    assert alarms / 200 <= 0.2


@pytest.mark.parametrize(("error", "most"), [(0.13, 1_800), (0.15, 900), (0.20, 300)])
def test_a_rise_is_seen_in_time(error: float, most: float) -> None:
    random = np.random.default_rng(4)
    reference = random.random(10_000) < 0.1
    level = level_from(reference, tolerance=0.0)
    delays = []
    for _ in range(40):
        _, finding = watch_losses(start_label_detector(level, 10_000), random.random(6_000) < error)
        delays.append(6_000 if finding.alarm_at is None else finding.alarm_at)
    assert np.median(delays) <= most


def test_a_restart_continues_exactly() -> None:
    random = np.random.default_rng(1)
    state, _ = watch_losses(start_label_detector(0.2, 500), random.random(100))
    again = decode(encode(state), LabelDetector)
    more = random.random(100)
    one, two = watch_losses(state, more), watch_losses(again, more)
    assert encode(one[0]) == encode(two[0])
    assert one[1] == two[1]


def test_long_good_times_do_not_break_the_arithmetic() -> None:
    state, finding = watch_losses(start_label_detector(0.3, 1e6), np.zeros(50_000))
    assert 0 < finding.value < 100
    state, finding = watch_losses(state, np.ones(5_000))
    assert finding.alarm
    assert math.isfinite(finding.value)


def test_no_labels_change_nothing() -> None:
    state = start_label_detector(0.2, 10)
    after, finding = watch_losses(state, np.array([]))
    assert encode(after) == encode(state)
    assert finding.mean_loss is None
    assert msgspec.json.decode(msgspec.json.encode(finding), type=type(finding)) == finding


def test_what_cannot_be_watched_is_refused() -> None:
    state = start_label_detector(0.2, 10)
    for bad in ([1.5], [-0.1], [math.nan], [[0.1]]):
        with pytest.raises(Invalid):
            watch_losses(state, np.array(bad))
    for level, budget in ((0.0, 10), (1.0, 10), (0.5, 0.5), (math.nan, 10)):
        with pytest.raises(Invalid):
            start_label_detector(level, budget)
    with pytest.raises(Invalid, match="two losses"):
        level_from(np.array([0.1]), tolerance=0.0)
    with pytest.raises(Damaged):
        decode(b"\x80", LabelDetector)
