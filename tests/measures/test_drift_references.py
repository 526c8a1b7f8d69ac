"""References that know little (one window, few rows), and windows that are like the one before: the budget holds there too."""

from collections.abc import Iterator

import numpy as np
import pytest

from kept.measures.drift.detector import start, update
from kept.measures.drift.memory import memory_of
from kept.measures.drift.reference import Reference, build_reference, count_window
from kept.measures.drift.variation import LEAST_WINDOWS

COLUMNS, ROWS = 8, 200


def reference_of(windows: list[np.ndarray]) -> Reference:
    table = {f"x{place}": column for place, column in enumerate(np.concatenate(windows, axis=1))}
    numbers = np.repeat(np.arange(len(windows)), ROWS)
    return build_reference(table, dict.fromkeys(table, "numeric"), numbers)


def alarms(past: Reference, windows: list[np.ndarray], budget: float) -> int:
    state, found = start(past, budget), 0
    for window in windows:
        counts = count_window(past, {f"x{place}": column for place, column in enumerate(window)})
        state, finding = update(state, past, counts)
        if finding.alarm:
            found, state = found + 1, start(past, budget)
    return found


def still(random: np.random.Generator) -> Iterator[np.ndarray]:
    while True:
        yield random.standard_normal((COLUMNS, ROWS))


def wandering(random: np.random.Generator, memory: float, size: float) -> Iterator[np.ndarray]:
    """Each day is like the day before."""
    level = random.standard_normal((COLUMNS, 1))
    while True:
        level = memory * level + np.sqrt(1 - memory**2) * random.standard_normal((COLUMNS, 1))
        yield random.standard_normal((COLUMNS, ROWS)) + size * level


def series(random: np.random.Generator, windows: int, memory: float) -> list[np.ndarray]:
    """Each row is near the one before it: a window is hardly more than one row."""
    rows = random.standard_normal((ROWS, windows, COLUMNS))
    rows[1:] *= np.sqrt(1 - memory**2)
    for row in range(1, ROWS):
        rows[row] += memory * rows[row - 1]
    return list(rows.transpose(1, 2, 0))


def test_windows_that_are_hardly_more_than_a_row_keep_the_budget() -> None:
    found = 0
    for seed in range(10):
        windows = series(np.random.default_rng([9, seed]), 110, 0.99)
        found += alarms(reference_of(windows[:20]), windows[20:], budget=300)
    # 900 windows at one in 300 allow 3.
    assert found <= 3


def test_a_reference_of_one_small_window_keeps_the_budget() -> None:
    found = 0
    for seed in range(12):
        days = still(np.random.default_rng([0, seed]))
        past = reference_of([next(days)])
        found += alarms(past, [next(days) for _ in range(60)], budget=200)
    # 720 windows at one in 200 allow 4.
    assert found <= 4


def test_days_that_are_like_the_day_before_keep_the_budget() -> None:
    found = 0
    for seed in range(6):
        days = wandering(np.random.default_rng(seed), 0.8, 0.2)
        past = reference_of([next(days) for _ in range(30)])
        found += alarms(past, [next(days) for _ in range(60)], budget=30)
    # 360 windows at one in 30 allow 12.
    assert found <= 12


def test_a_jump_is_seen_among_days_that_are_like_the_day_before() -> None:
    days = wandering(np.random.default_rng(3), 0.8, 0.2)
    past = reference_of([next(days) for _ in range(30)])
    quiet = [next(days) for _ in range(5)]
    assert alarms(past, quiet, budget=100) == 0
    assert alarms(past, [*quiet, *(next(days) + 2.0 for _ in range(3))], budget=100) > 0


def test_a_reference_says_how_few_independent_windows_it_is_worth() -> None:
    days, calm = wandering(np.random.default_rng(3), 0.8, 0.2), still(np.random.default_rng(3))
    assert reference_of([next(days) for _ in range(20)]).independent_windows < LEAST_WINDOWS
    assert reference_of([next(calm) for _ in range(20)]).independent_windows == 20


@pytest.mark.parametrize(("memory", "low", "high"), [(0.0, 1.0, 2.0), (0.5, 2.0, 5.0), (0.8, 6.0, 16.0)])
def test_memory_is_known_by_long_series(memory: float, low: float, high: float) -> None:
    random, between = np.random.default_rng(5), 0.02
    days = wandering(random, memory, np.sqrt(between))
    away = np.array([next(days).mean(axis=1) for _ in range(400)])
    apart = away - away.mean(axis=0)
    held = np.full(apart.shape, float(ROWS))
    times = memory_of(apart, held, np.full(COLUMNS, between), np.zeros(COLUMNS, dtype=np.int64))
    assert low <= np.median(times) <= high


def test_nothing_is_remembered_where_nothing_varies() -> None:
    times = memory_of(np.ones((20, 3)), np.ones((20, 3)), np.zeros(3), np.zeros(3, dtype=np.int64))
    assert (times == 1).all()
