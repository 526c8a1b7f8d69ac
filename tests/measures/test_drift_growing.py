import numpy as np
import pytest

from kept.measures.arrays import Array, decode, encode
from kept.measures.drift.detector import start, update
from kept.measures.drift.reference import Reference, build_reference, count_window
from kept.monitoring.drift import expectations

ROWS, WINDOWS = 50, 20


def day(random: np.random.Generator, number: int) -> dict[str, Array]:
    """A time, a running number, one that falls, and one that does neither."""
    return {
        "at": 1.7e9 + 86_400 * (number + random.random(ROWS)),
        "key": np.arange(number * ROWS, (number + 1) * ROWS),
        "left": -number - random.random(ROWS) / 2,
        "x": random.standard_normal(ROWS),
    }


def reference_of(days: list[dict[str, Array]], **more: object) -> Reference:
    table = {name: np.concatenate([one[name] for one in days]) for name in days[0]}
    numbers = np.repeat(np.arange(len(days)), ROWS)
    seasons = {"cycle": "day of week", "seasons": numbers % 7} if more.get("seasonal") else {}
    return build_reference(table, dict.fromkeys(table, "numeric"), numbers, **seasons)  # type: ignore[arg-type]


@pytest.mark.parametrize("seasonal", [False, True])
def test_what_only_grows_is_watched_for_missing_values_alone(seasonal: bool) -> None:
    random = np.random.default_rng(0)
    past = decode(encode(reference_of([day(random, n) for n in range(WINDOWS)], seasonal=seasonal)), Reference)
    assert past.growing == ("at", "key", "left")
    state = start(past, 30)
    for number in range(WINDOWS, WINDOWS + 15):
        state, finding = update(state, past, count_window(past, day(random, number)), number % 7 if seasonal else None)
        assert not finding.alarm
    last = day(random, WINDOWS + 15)
    last["at"][:25] = np.nan
    _, finding = update(state, past, count_window(past, last), (WINDOWS + 15) % 7 if seasonal else None)
    assert finding.alarm
    assert finding.columns[0].name == "at"


def test_what_only_grows_has_no_range_to_leave() -> None:
    random = np.random.default_rng(0)
    expected = {one.column: one for one in expectations(reference_of([day(random, n) for n in range(WINDOWS)]))}
    assert (expected["key"].low, expected["key"].high) == (None, None)
    assert expected["x"].low is not None


def test_a_constant_and_a_column_without_values_do_not_grow() -> None:
    random = np.random.default_rng(0)
    days = [
        {"one": np.ones(ROWS), "none": np.full(ROWS, np.nan), "x": random.standard_normal(ROWS)} for _ in range(WINDOWS)
    ]
    assert reference_of(days).growing == ()


@pytest.mark.parametrize("windows", [3, 5])
@pytest.mark.parametrize("ends", [False, True])
def test_what_lies_in_order_by_chance_is_watched(windows: int, ends: bool) -> None:
    """The rate of a day, or a value that most rows have not: few windows of these lie in order now and then."""
    random = np.random.default_rng(0)
    rising = [
        {
            "rate": np.full(ROWS, 3.0 + number),
            "seldom": np.where(np.arange(ROWS) < 1 + (ends and number == 1), 3.0 + number / 10, np.nan),
            "x": random.standard_normal(ROWS),
        }
        for number in range(windows)
    ]
    assert reference_of(rising).growing == ()


def test_a_day_that_only_grows_is_known_from_a_few_more_windows() -> None:
    random = np.random.default_rng(0)
    days = [{"day": np.full(ROWS, float(number)), "x": random.standard_normal(ROWS)} for number in range(10)]
    assert reference_of(days).growing == ("day",)


def test_times_within_windows_are_known_from_three() -> None:
    random = np.random.default_rng(0)
    assert reference_of([day(random, number) for number in range(3)]).growing == ("at", "key", "left")
