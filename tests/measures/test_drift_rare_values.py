"""Columns of rare or of few values, on unchanged windows: the kinds that a normal curve does not fit."""

from collections.abc import Callable

import numpy as np
import pytest

from kept.measures.arrays import Array
from kept.measures.drift.detector import start, update
from kept.measures.drift.reference import Reference, build_reference, count_window

COLUMNS, WINDOWS, BUDGET = 12, 20, 20


def flags(random: np.random.Generator, share: float, rows: int) -> dict[str, Array]:
    return {f"x{place}": (random.random(rows) < share).astype(float) for place in range(COLUMNS)}


def sparse(random: np.random.Generator, present: float, rows: int) -> dict[str, Array]:
    numbers = random.standard_normal((COLUMNS, rows))
    numbers[random.random(numbers.shape) >= present] = np.nan
    return {f"x{place}": column for place, column in enumerate(numbers)}


def reference_of(windows: list[dict[str, Array]], rows: int) -> Reference:
    table = {name: np.concatenate([each[name] for each in windows]) for name in windows[0]}
    return build_reference(table, dict.fromkeys(table, "numeric"), np.repeat(np.arange(len(windows)), rows))


def alarms_of(reference: Reference, windows: list[dict[str, Array]]) -> int:
    state, found = start(reference, BUDGET), 0
    for window in windows:
        state, finding = update(state, reference, count_window(reference, window))
        if finding.alarm:
            found, state = found + 1, start(reference, BUDGET)
    return found


@pytest.mark.parametrize(
    ("drawn", "share", "rows"),
    [
        (flags, 0.02, 100),
        (flags, 0.02, 1_000),
        (flags, 0.05, 100),
        (flags, 0.05, 400),
        (flags, 0.1, 60),
        (flags, 0.4, 60),
        (sparse, 0.05, 200),
        (sparse, 0.4, 50),
    ],
)
def test_rare_values_do_not_alarm_by_chance(
    drawn: Callable[[np.random.Generator, float, int], dict[str, Array]], share: float, rows: int
) -> None:
    found = 0
    for seed in range(4):
        random = np.random.default_rng(seed)
        past = reference_of([drawn(random, share, rows) for _ in range(WINDOWS)], rows)
        found += alarms_of(past, [drawn(random, share, rows) for _ in range(40)])
    # 160 windows at one in 20 allow 8.
    assert found <= 8


def test_a_rare_flag_that_becomes_more_frequent_is_seen() -> None:
    random = np.random.default_rng(1)
    past = reference_of([flags(random, 0.02, 200) for _ in range(WINDOWS)], 200)
    state, window = start(past, BUDGET), {**flags(random, 0.02, 200), "x3": (random.random(200) < 0.15).astype(float)}
    _, finding = update(state, past, count_window(past, window))
    assert finding.alarm
    assert finding.columns[0].name == "x3"


def test_two_flags_that_begin_to_come_together_are_seen_once_there_are_rows_enough() -> None:
    random = np.random.default_rng(2)
    past = reference_of([flags(random, 0.2, 500) for _ in range(WINDOWS)], 500)
    window = flags(random, 0.2, 500)
    window["x5"] = np.where(random.random(500) < 0.5, window["x4"], window["x5"])
    _, finding = update(start(past, BUDGET), past, count_window(past, window))
    assert finding.alarm
    assert {column.name for column in finding.columns[:2]} == {"x4", "x5"}


def slow(random: np.random.Generator, memory: float, rows: int) -> dict[str, Array]:
    """Each row is near the one before it: a window holds few that are independent."""
    noise = random.standard_normal((COLUMNS, rows + 300)) * np.sqrt(1 - memory**2)
    numbers = np.empty_like(noise)
    numbers[:, 0] = random.standard_normal(COLUMNS)
    for row in range(1, noise.shape[1]):
        numbers[:, row] = memory * numbers[:, row - 1] + noise[:, row]
    return {f"x{place}": column for place, column in enumerate(numbers[:, 300:])}


@pytest.mark.parametrize("memory", [0.5, 0.9, 0.98])
def test_rows_that_hang_together_do_not_alarm_by_chance(memory: float) -> None:
    random, found = np.random.default_rng(3), 0
    for _ in range(2):
        past = reference_of([slow(random, memory, 300) for _ in range(WINDOWS)], 300)
        found += alarms_of(past, [slow(random, memory, 300) for _ in range(60)])
    # 120 windows at one in 20 allow 6.
    assert found <= 6
