from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kept
from kept.core.errors import Invalid
from kept.plan.split import Split
from kept.training.splits import split_rows

START = datetime(2013, 1, 1, tzinfo=UTC)


def rows(count: int, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "at": [START + timedelta(hours=int(hour)) for hour in random.permutation(count)],
            "group": random.integers(0, 20, count),
            "late": random.random(count) < 0.2,
        }
    )


def parts(frame: pl.DataFrame, rule: Split, seed: int = 0) -> pl.Series:
    return split_rows(frame, rule, event_time="at", label="late", seed=seed)


RULES = [kept.by_time(test=0.2, validation=0.2), kept.at_random(), kept.by_group("group"), kept.stratified()]


@given(count=st.integers(100, 400), seed=st.integers(0, 100), rule=st.sampled_from(RULES))
@settings(max_examples=40, deadline=None)
def test_every_row_is_in_one_part_and_the_draw_is_repeatable(count: int, seed: int, rule: Split) -> None:
    frame = rows(count, seed)
    found = parts(frame, rule, seed)
    assert found.equals(parts(frame, rule, seed))
    assert len(found) == count
    assert set(found) == {"train", "validation", "test"}


@given(count=st.integers(100, 400), seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_by_time_nothing_of_the_test_is_older_than_what_it_is_trained_on(count: int, seed: int) -> None:
    frame = rows(count, seed).with_columns(parts(rows(count, seed), kept.by_time(test="24h", validation="12h")))
    spans = {part: frame.filter(part=part)["at"] for part in ("train", "validation", "test")}
    assert spans["train"].max() < spans["validation"].min()  # type: ignore[operator]
    assert spans["validation"].max() < spans["test"].min()  # type: ignore[operator]
    assert spans["test"].min() == frame["at"].max() - timedelta(hours=24)  # type: ignore[operator]


def test_a_group_is_never_divided() -> None:
    frame = rows(1000)
    found = frame.with_columns(parts(frame, kept.by_group("group", test=0.3, validation=0.2)))
    assert found.group_by("group").agg(pl.col("part").n_unique())["part"].to_list() == [1] * 20
    share = (found["part"] == "test").mean()
    assert share == pytest.approx(0.3, abs=0.08)


def test_stratified_parts_have_the_same_mix() -> None:
    frame = rows(1000)
    found = frame.with_columns(parts(frame, kept.stratified(test=0.3, validation=0.2)))
    means = found.group_by("part").agg(pl.col("late").mean())["late"]
    assert means.max() - means.min() < 0.01  # type: ignore[operator]


def test_stratified_works_for_numbers() -> None:
    frame = rows(1000).with_columns(price=pl.Series(np.random.default_rng(0).lognormal(size=1000)))
    found = split_rows(frame, kept.stratified(), event_time=None, label="price", seed=0)
    means = frame.with_columns(found).group_by("part").agg(pl.col("price").median())["price"]
    assert means.max() - means.min() < 0.15  # type: ignore[operator]


def test_by_time_shares_are_shares_of_all_rows() -> None:
    at = [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(1000)]
    found = parts(pl.DataFrame({"at": at, "late": [True, False] * 500}), kept.by_time(test=0.2, validation=0.1))
    counts = dict(found.value_counts().iter_rows())
    assert counts["test"] == pytest.approx(200, abs=2)
    assert counts["validation"] == pytest.approx(100, abs=2)


def test_by_time_needs_a_time() -> None:
    with pytest.raises(Invalid, match="has no event time"):
        split_rows(rows(100), kept.by_time(), event_time=None, label="late", seed=0)


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(Invalid, match="no row of 3 is left for"):
        parts(rows(3), kept.by_time(test="1d", validation="1d"))
