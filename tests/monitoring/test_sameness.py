from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from kept.monitoring.quality import Expected
from kept.monitoring.sameness import Sameness, check_sameness

DAY = timedelta(days=1)
AGE = Expected(column="age", missing_share=0.0, low=0.0, high=1.0, largest_share=0.01)
RARE = Expected(column="rare", missing_share=0.0, categories=frozenset({"no", "yes"}), largest_share=0.99)
random = np.random.default_rng(3)


def window(rows: int = 200, **changes: object) -> pl.DataFrame:
    columns: dict[str, object] = {
        "key": [f"k{place}" for place in range(rows)],
        "age": random.uniform(size=rows),
        "rare": np.where(random.uniform(size=rows) < 0.99, "no", "yes"),
    }
    return pl.DataFrame({**columns, **changes})


def look(rows: pl.DataFrame, before: Sameness, length: timedelta = DAY) -> tuple[list[tuple[str, str]], Sameness]:
    found, after = check_sameness(rows, rows.drop("key"), [AGE, RARE], before, length)
    return [(one.rule, one.column) for one in found], after


def used_to(*windows: pl.DataFrame) -> Sameness:
    state = Sameness()
    for one in windows or [window() for _ in range(8)]:
        found, state = look(one, state)
        assert found == []
    return state


def test_a_column_that_stands_still_is_told_of_as_long_as_it_does() -> None:
    state = used_to()
    for _ in range(3):
        found, state = look(window(age=[0.5] * 200), state)
        assert found == [("constant", "age")]
    assert look(window(), state)[0] == []


def test_what_stands_still_by_its_nature_or_by_chance_is_not() -> None:
    month = used_to(*[window(age=[float(place)] * 200) for place in range(9)])
    assert look(window(age=[9.0] * 200), month)[0] == []
    assert look(window(rare=["no"] * 200), used_to())[0] == []
    assert look(window(2_000, rare=["no"] * 2_000), Sameness(varied={"rare": 7}))[0] == [("constant", "rare")]
    assert look(window(20, age=[0.5] * 20), used_to())[0] == []
    assert look(window(age=[0.5] * 10 + [None] * 190), used_to())[0] == []


def test_nights_are_unlike_days() -> None:
    """By the hour: at night nothing varies and many ask the same."""
    state, hour = Sameness(), DAY / 24
    night = window(key=[None] * 200, age=[0.0] * 200, rare=["no", "yes"] * 100)
    for time in range(10 * 24):
        found, state = look(night if time % 24 < 8 else window(), state, hour)
        assert found == []
    assert len(state.repeated) == 7


@pytest.mark.parametrize("times", [2, 5])
def test_requests_that_come_again_are_told_of(times: int) -> None:
    state = used_to()
    for _ in range(3):
        found, state = look(pl.concat([window()] * times), state)
        assert found == ([("repeated", "")])
    assert look(window(), state)[0] == []


def test_rows_that_are_alike_by_their_nature_are_not() -> None:
    few = [window(key=[None] * 200, age=[1.0] * 200, rare=["no", "yes"] * 100) for _ in range(9)]
    assert look(few[0], used_to(*few[1:]))[0] == []
    assert look(pl.concat([window()] * 3), Sameness())[0] == []
    assert look(window(0), Sameness()) == ([], Sameness())
