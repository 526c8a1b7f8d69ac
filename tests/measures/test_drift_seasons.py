"""Traffic with a rhythm: nights are unlike days, and neither is a change."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from drift_traffic import KINDS, joined, traffic

from kept.core.errors import Conflict
from kept.measures.arrays import Array, decode, encode
from kept.measures.drift.cycle import length_of, season_of
from kept.measures.drift.detector import DriftState, start, update
from kept.measures.drift.reference import Reference, build_reference, count_window

ROWS, DAYS, PARTS, BUDGET = 150, 12, 6, 100
BEGIN = datetime(2013, 4, 1, tzinfo=UTC)


def part_of_day(random: np.random.Generator, at: int, shift: float = 0.0, wander: float = 0.03) -> dict[str, Array]:
    """Four hours: means and a category go up and down with the sun, nights are calmer."""
    sun = np.sin(2 * np.pi * (at % PARTS) / PARTS)
    table = traffic(random, ROWS, shift=shift, wander=wander)
    for name in ("x0", "x1", "x2", "x3"):
        table[name] = table[name] * (1 + 0.3 * sun) + 0.8 * sun
    table["c0"][random.random(ROWS) < 0.2 * (1 + sun)] = "a"
    return table


def references(random: np.random.Generator) -> tuple[Reference, Reference]:
    """One that knows of the parts of the day, and one of the same rows that does not."""
    table = joined([part_of_day(random, at) for at in range(DAYS * PARTS)])
    windows = np.repeat(np.arange(DAYS * PARTS), ROWS)
    seasonal = build_reference(table, KINDS, windows, cycle="hour of day", seasons=windows % PARTS * 4)
    return seasonal, build_reference(table, KINDS, windows)


def season_at(at: int) -> int:
    return season_of("hour of day", BEGIN + at * timedelta(hours=4))


def alarms(
    reference: Reference, random: np.random.Generator, windows: int, shift: float = 0.0, budget: float = BUDGET
) -> list[int]:
    state, found = start(reference, budget), []
    for at in range(windows):
        counts = count_window(reference, part_of_day(random, at, shift))
        season = None if reference.cycle is None else season_at(at)
        state, finding = update(state, reference, counts, season)
        if finding.alarm:
            found.append(at)
            state = start(reference, budget)
    return found


def test_days_and_nights_keep_the_budget() -> None:
    found = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        found += len(alarms(references(random)[0], random, 10 * PARTS, budget=20))
    # 360 windows at one in 20 allow 18.
    assert found <= 9


def test_a_change_is_seen_that_a_pooled_reference_takes_for_the_time_of_day() -> None:
    told: list[int] = []
    untold: list[int] = []
    for seed in range(6):
        random = np.random.default_rng(100 + seed)
        seasonal, pooled = references(random)
        for reference, delays in ((seasonal, told), (pooled, untold)):
            found = alarms(reference, np.random.default_rng(seed), 5 * PARTS, shift=0.25)
            delays.append(found[0] + 1 if found else 5 * PARTS)
    assert np.mean(told) <= 6
    assert np.mean(told) <= np.mean(untold) / 2


def test_a_column_that_rests_in_one_season_is_watched_in_the_others() -> None:
    random = np.random.default_rng(7)
    numbers = np.repeat(np.arange(40), ROWS)
    day = numbers % 2 == 1

    def sun(rows: Array, shift: float = 0.0) -> dict[str, Array]:
        return {"sun": np.where(rows, np.abs(random.normal(5 + shift, 1, rows.size)), 0.0)}

    reference = build_reference(sun(day), {"sun": "numeric"}, numbers, cycle="hour of day", seasons=day * 12)
    night, noon = (count_window(reference, sun(np.full(ROWS, lit), 0.8)) for lit in (False, True))
    state, finding = update(start(reference, BUDGET), reference, night, 0)
    assert finding.value < 1
    _, finding = update(state, reference, noon, 12)
    assert finding.alarm
    by_night, by_day = (reference.seasons[season].yard.used[reference.layout.of("location")] for season in (0, 12))
    assert (by_night.tolist(), by_day.tolist()) == ([False], [True])


def test_state_and_reference_are_stored_and_go_on_exactly() -> None:
    random = np.random.default_rng(3)
    seasonal, _ = references(random)
    windows = [count_window(seasonal, part_of_day(random, at)) for at in range(8)]
    again, straight, broken = decode(encode(seasonal), Reference), start(seasonal, BUDGET), start(seasonal, BUDGET)
    for at, window in enumerate(windows):
        straight, _ = update(straight, seasonal, window, season_at(at))
        broken, _ = update(decode(encode(broken), DriftState), again, window, season_at(at))
    assert encode(straight) == encode(broken)
    assert sorted(straight.seasons) == [0, 4, 8, 12, 16, 20]


def test_a_season_that_the_reference_has_not_seen_is_nothing_to_hold_a_window_against() -> None:
    seasonal, pooled = references(np.random.default_rng(3))
    assert seasonal.of_season(1) is None
    assert pooled.of_season(None) is pooled
    window = count_window(seasonal, part_of_day(np.random.default_rng(4), 0))
    with pytest.raises(Conflict, match="no season 1"):
        update(start(seasonal, BUDGET), seasonal, window, 1)


def test_seasons_are_hours_and_weekdays_of_utc() -> None:
    monday = datetime(2013, 4, 1, 23, 30, tzinfo=UTC)
    assert season_of("hour of day", monday) == 23
    assert season_of("day of week", monday) == 0
    assert season_of("day of week", monday + timedelta(hours=1)) == 1
    assert length_of("day of week") == 7 * length_of("hour of day")
