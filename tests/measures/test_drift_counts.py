from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.core.errors import Conflict, Invalid
from kept.measures.arrays import Array, decode, encode
from kept.measures.drift.categories import Coded, category_name, learn_categories, tally
from kept.measures.drift.counts import PAIRED_ROWS, WindowCounts, count_rows, empty_counts
from kept.measures.drift.grid import Grid, Kind, learn_grid
from kept.measures.drift.statistics import measure_window

KINDS: dict[str, Kind] = {"x": "numeric", "y": "numeric", "c": "categorical"}


def a_table(seed: int, rows: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    x[random.random(rows) < 0.1] = np.nan
    x[random.random(rows) < 0.02] = np.inf
    c = random.choice(np.array(["a", "b", "c", None, "rare"], dtype=object), rows, p=[0.5, 0.3, 0.15, 0.04, 0.01])
    return {"x": x, "y": random.poisson(2, rows), "c": c}


@pytest.fixture(scope="module")
def grid() -> Grid:
    return learn_grid(a_table(0, 4_000), KINDS)


def cut(table: dict[str, Array], rows: Any) -> dict[str, Array]:
    return {name: column[rows] for name, column in table.items()}


@given(seed=st.integers(1, 1_000), rows=st.integers(0, 300), first=st.integers(0, 300), second=st.integers(0, 300))
@settings(max_examples=40)
def test_counts_of_parts_add_up_to_the_counts_of_the_whole(
    grid: Grid, seed: int, rows: int, first: int, second: int
) -> None:
    table = a_table(seed, rows)
    low, high = sorted((first, second))
    one, two, three = (count_rows(grid, cut(table, part)) for part in (slice(low), slice(low, high), slice(high, None)))
    whole = encode(count_rows(grid, table))
    assert encode((one + two) + three) == whole
    assert encode(three + (two + one)) == whole
    assert encode(one + empty_counts(grid)) == encode(one)


@given(seed=st.integers(1, 1_000))
@settings(max_examples=20)
def test_the_order_of_rows_does_not_matter(grid: Grid, seed: int) -> None:
    table = a_table(seed, 200)
    order = np.random.default_rng(seed).permutation(200)
    assert encode(count_rows(grid, table)) == encode(count_rows(grid, cut(table, order)))


def test_large_windows_take_many_blocks_and_stay_exact(grid: Grid) -> None:
    table = a_table(5, 80_000)
    parts = [count_rows(grid, cut(table, slice(i, i + 9_973))) for i in range(0, 80_000, 9_973)]
    added, whole = sum(parts, start=empty_counts(grid)), count_rows(grid, table)
    assert np.array_equal(added.cells, whole.cells)
    assert (added.rows, added.paired_rows, whole.paired_rows) == (80_000, 80_000, 5_000)


def test_a_large_window_pairs_every_so_many_rows_and_finds_the_same_correlations(grid: Grid) -> None:
    table = a_table(6, 3 * PAIRED_ROWS)
    every_third = count_rows(grid, cut(table, slice(None, None, 3)))
    whole = count_rows(grid, table)
    assert np.array_equal(whole.cross, every_third.cross)
    assert np.array_equal(whole.paired_sums, every_third.paired_sums)
    assert measure_window(grid, whole).value[-1] == measure_window(grid, every_third).value[-1]


def test_counts_from_before_rows_were_left_out_of_pairs_are_still_read(grid: Grid) -> None:
    now = count_rows(grid, a_table(3, 500))
    before = msgspec.structs.replace(now, paired_rows=0, paired_sums=np.zeros(0, dtype=np.int64))
    assert np.array_equal(measure_window(grid, before).value, measure_window(grid, now).value)
    with pytest.raises(Conflict):
        before + now


@given(
    codes=st.lists(st.integers(0, 6), max_size=40), missing=st.booleans(), categories=st.sampled_from((7, 64, 65, 100))
)
def test_codes_are_tallied_as_their_names_are(codes: list[int], missing: bool, categories: int) -> None:
    names = tuple(f"v{i}" for i in range(categories))
    held = np.array([*codes, *([-1] if missing else [])], dtype=np.int64)
    texts = np.empty(held.size, dtype=object)
    texts[:] = [None if code < 0 else names[code] for code in held]
    assert tally(Coded(codes=held, categories=names)) == tally(texts)


def test_missing_values_are_told_by_codes_that_are_narrower_than_their_dictionary() -> None:
    names = tuple(f"v{place}" for place in range(300))
    held = np.array([-1, 0, 127, 127, -1], dtype=np.int8)
    assert tally(Coded(codes=held, categories=names)) == {None: 2, "v0": 1, "v127": 2}


def test_every_row_is_in_one_cell_of_each_column(grid: Grid) -> None:
    counts = count_rows(grid, a_table(3, 500))
    sums = np.add.reduceat(counts.cells, grid.offsets[:-1])
    assert sums.tolist() == [500, 500, 500]
    assert counts.low[1] == 0
    assert counts.high[0] == np.inf


def test_cross_products_are_those_of_the_scores(grid: Grid) -> None:
    table = a_table(3, 500)
    scores = [
        np.rint(cells.scores * 32)[cells.place(table[name])] for name, cells in zip("xy", grid.cells, strict=True)
    ]
    expected = np.array([[a @ b for b in scores] for a in scores])
    assert np.array_equal(count_rows(grid, table).cross, expected)


def test_counts_survive_storage(grid: Grid) -> None:
    counts = count_rows(grid, a_table(3, 500))
    again = decode(encode(counts), WindowCounts)
    assert encode(again + counts) == encode(counts + counts)


def test_counts_of_different_grids_do_not_add(grid: Grid) -> None:
    other = learn_grid(a_table(9, 100), KINDS)
    with pytest.raises(Conflict, match="different grids"):
        _ = empty_counts(grid) + empty_counts(other)


def test_a_grid_read_back_counts_the_same(grid: Grid) -> None:
    again = decode(encode(grid), Grid)
    assert again.digest == grid.digest
    assert encode(count_rows(again, a_table(3, 100))) == encode(count_rows(grid, a_table(3, 100)))


def test_codes_count_like_the_values_they_stand_for(grid: Grid) -> None:
    table = a_table(4, 300)
    names = ("rare", "c", "b", "a", "new")
    codes = np.array([-1 if value is None else names.index(value) for value in table["c"]], dtype=np.int32)
    coded: dict[str, Any] = {**table, "c": Coded(codes=codes, categories=names)}
    assert encode(count_rows(grid, coded)) == encode(count_rows(grid, table))


def test_missing_and_unseen_values_are_counted_apart() -> None:
    categories = learn_categories(np.array(["a"] * 30 + ["b"] * 10 + ["once"], dtype=object))
    counts = categories.count(np.array(["a", "b", "b", "new", None, float("nan"), "once"], dtype=object))
    assert dict(zip((*categories.names, "other", "missing"), counts.tolist(), strict=True)) == {
        "a": 1,
        "b": 2,
        "once": 1,
        "other": 1,
        "missing": 2,
    }


def test_the_share_of_new_values_to_come_is_estimated() -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 1_500, 15_000).astype(str)
    learned, fresh = learn_categories(values[:7_500]), values[7_500:]
    rare_then = learned.count(values[:7_500])[learned.common : learned.size].sum() / 7_500
    rare_now = learned.count(fresh)[learned.common : learned.size].sum() / 7_500
    assert rare_now - rare_then > 0.1
    assert rare_then + learned.expected_new == pytest.approx(rare_now, abs=0.03)


@pytest.mark.parametrize(
    ("value", "name"),
    [(1, "1"), (1.0, "1"), (True, "true"), ("1", "1"), (1.5, "1.5"), (None, None), (float("nan"), None)],
)
def test_values_are_named_alike_whatever_their_type(value: Any, name: str | None) -> None:
    assert category_name(value) == name
    assert tally(np.array([value], dtype=object)) == {name: 1}


@pytest.mark.parametrize(
    "table",
    [
        {"x": np.ones(2), "c": np.array(["a", "b"])},
        {"x": np.ones(2), "y": np.ones(3), "c": np.array(["a", "b"])},
        {"x": np.array(["a", "b"]), "y": np.ones(2), "c": np.array(["a", "b"])},
        {"x": Coded(codes=np.zeros(2, dtype=int), categories=("a",)), "y": np.ones(2), "c": np.array(["a", "b"])},
        {"x": np.ones(2), "y": np.ones(2), "c": Coded(codes=np.array([0, 5]), categories=("a",))},
    ],
)
def test_tables_that_do_not_fit_are_refused(grid: Grid, table: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        count_rows(grid, table)


def test_none_among_numbers_is_missing(grid: Grid) -> None:
    objects: dict[str, Any] = {**a_table(3, 3), "x": np.array([1.0, None, 2.0], dtype=object)}
    numbers = {**objects, "x": np.array([1.0, np.nan, 2.0])}
    assert encode(count_rows(grid, objects)) == encode(count_rows(grid, numbers))
