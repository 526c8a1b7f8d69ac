"""Causes of a rise in loss: parts add up, the right ones come first, and where nothing changed nothing is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.measures.arrays import Floats
from kept.measures.covariates import Covariates
from kept.measures.loss_attribution import by_column, by_shift
from kept.measures.loss_slices import cut_columns, slices_of
from kept.measures.slice_search import LEAST_ROWS, MOST_SLICES, worse_slices


def rows_of(values: Floats) -> Covariates:
    return Covariates(columns=("size", "place", "noise"), categorical=(False, True, False), values=values)


def traffic(
    random: np.random.Generator, rows: int, *, large: float = 0.0, worse: float = 0.0
) -> tuple[Covariates, Floats]:
    """Large ones lose more; `large` shifts the size, `worse` adds to the loss of place 2."""
    size, place = random.normal(large, 1, rows), random.integers(0, 4, rows).astype(np.float64)
    chance = np.clip(0.15 + 0.1 * (size > 0.5) + 0.1 * (size > 1.2) + worse * (place == 2), 0, 1)
    covariates = rows_of(np.column_stack([size, place, random.normal(size=rows)]))
    return covariates, (random.random(rows) < chance).astype(np.float64)


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 60), missing=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_parts_of_each_column_add_up_to_the_rise(seed: int, rows: int, missing: float) -> None:
    random = np.random.default_rng(seed)
    sides = []
    for count in (rows, int(random.integers(1, 60))):
        values = np.column_stack([random.normal(size=count), random.integers(0, 15, count), np.ones(count)])
        values[random.random(values.shape) < missing] = np.nan
        sides.append((rows_of(values), random.random(count)))
    (was, before), (is_, now) = sides
    rise = now.mean() - before.mean()
    for part in by_column(before, now, cut_columns(was, is_)):
        assert part.mix + part.within == pytest.approx(rise)
        assert sum(one.mix for one in part.slices) == pytest.approx(part.mix)
        assert sum(one.within for one in part.slices) == pytest.approx(part.within)
        assert sum(one.share_now for one in part.slices) == pytest.approx(1.0)
        assert part.explained >= 0


def test_a_shift_of_the_mix_is_told_from_a_slice_that_got_worse() -> None:
    random = np.random.default_rng(0)
    was, before = traffic(random, 4_000)
    moved, now = traffic(random, 4_000, large=1.0)
    first = by_column(before, now, cut_columns(was, moved))[0]
    assert first.column == "size"
    assert first.mix > 0.7 * (now.mean() - before.mean())
    same, worse = traffic(random, 4_000, worse=0.3)
    first = by_column(before, worse, cut_columns(was, same))[0]
    assert first.column == "place"
    assert abs(first.mix) < 0.01
    assert first.slices[0].bounds == (2.0, 2.0)


def test_shifts_and_outcomes_add_up_and_the_shifted_column_comes_first() -> None:
    random = np.random.default_rng(1)
    was, before = traffic(random, 2_000)
    moved, now = traffic(random, 2_000, large=1.0)
    players = [("size",), ("place",), ("noise",)]
    found = by_shift(before, was, moved, float(now.mean()), players)
    assert sum(one.part for one in found.shifts) + found.outcomes == pytest.approx(found.rise)
    assert found.shifts[0].columns == ("size",)
    assert found.shifts[0].part > 0.4 * found.rise
    same, worse = traffic(random, 2_000, worse=0.4)
    changed = by_shift(before, was, same, float(worse.mean()), players)
    assert changed.outcomes > 0.7 * changed.rise


def test_where_nothing_changed_a_slice_is_named_no_more_often_than_promised() -> None:
    named = 0
    for seed in range(120):
        random = np.random.default_rng(seed)
        (was, before), (is_, now) = traffic(random, 500), traffic(random, 400)
        slices = slices_of(cut_columns(was, is_), least=LEAST_ROWS, most=MOST_SLICES)
        named += bool(worse_slices(before, now, slices, alpha=0.1, seed=seed, draws=99))
    # 12 are expected of 120 at 10%; 19 come with a chance of 3%.
    assert named <= 19


def test_the_worst_slice_is_found_and_so_is_one_of_two_columns() -> None:
    random = np.random.default_rng(3)
    (was, before), (is_, now) = traffic(random, 2_000), traffic(random, 2_000)
    hurt = (is_.values[:, 1] == 2) & (is_.values[:, 0] > 0.7)
    now = np.where(hurt, (random.random(2_000) < 0.9).astype(np.float64), now)
    slices = slices_of(cut_columns(was, is_), least=LEAST_ROWS, most=MOST_SLICES)
    assert len(slices) <= MOST_SLICES
    found = worse_slices(before, now, slices)
    assert found[0].p <= 0.01
    assert {name for name, _ in found[0].parts} == {"size", "place"}
    assert found[0].loss_now > found[0].loss_before + 0.3
    assert (
        worse_slices(
            before[:9], now[:9], slices_of(cut_columns(was.take(slice(9)), is_.take(slice(9))), least=1, most=9)
        )
        == []
    )
