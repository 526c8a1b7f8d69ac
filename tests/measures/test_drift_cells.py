import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kept.measures.arrays import Floats, encode
from kept.measures.drift.cells import Cells, Scratch, learn_cells
from kept.measures.drift.steps import STEPS, extent

SAMPLES = {
    "normal": np.random.default_rng(0).normal(1_000, 3, 20_000),
    "heavy tails": np.exp(np.random.default_rng(1).normal(0, 3, 20_000)),
    "both signs": np.random.default_rng(2).standard_cauchy(20_000),
    "far clusters": np.concatenate([np.random.default_rng(3).normal(m, 1, 9_000) for m in (0, 1e7)]),
    "counts": np.random.default_rng(4).poisson(3, 20_000).astype(float),
    "mostly zero": np.where(np.arange(20_000) % 10, 0.0, np.random.default_rng(5).random(20_000)),
    "constant": np.full(100, 7.5),
    "missing": np.full(10, np.nan),
    "huge": np.array([1e308, -1e308, 5e-324, 0.0]),
}


def the_cells(name: str) -> Cells:
    return learn_cells(SAMPLES[name])


@pytest.mark.parametrize("name", SAMPLES)
@given(
    values=hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(allow_subnormal=True)),
    near=st.floats(-20, 20),
)
def test_cells_rise_with_the_value_and_hold_missing_apart(name: str, values: Floats, near: float) -> None:
    cells = the_cells(name)
    middle = cells.centre + cells.step * STEPS / 2
    values = np.concatenate([values, near + middle + values[:5] / 1e300])
    found = cells.place(values)
    assert np.array_equal(found == cells.size, np.isnan(values))
    known = np.sort(values[~np.isnan(values)])
    assert np.all(np.diff(cells.place(known)) >= 0)
    assert cells.place(np.array([-np.inf, np.inf])).tolist() == [0, cells.size - 1]
    assert np.array_equal(found, cells.table[cells.codes(values, extent(values), Scratch(100))])


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in {"huge", "missing"}])
def test_no_cell_holds_much_unless_one_value_does(name: str) -> None:
    sample = SAMPLES[name]
    cells = the_cells(name)
    found = cells.place(sample)
    for cell in np.flatnonzero(np.bincount(found) > 0.02 * sample.size):
        _, counts = np.unique(sample[found == cell], return_counts=True)
        assert counts.max() >= 0.9 * np.count_nonzero(found == cell)
    assert cells.searched == (name == "far clusters")
    assert (cells.step > 0) == (name in {"normal", "counts", "mostly zero"})


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in {"huge", "missing"}])
def test_edges_say_where_cells_begin(name: str) -> None:
    cells, sample = the_cells(name), SAMPLES[name]
    assert np.all(np.diff(cells.edges) >= 0)
    if np.unique(sample).size < 100:
        return  # A single value's cell is narrower than the distance of two numbers of its size.
    by_edge = np.searchsorted(cells.edges, sample, side="right") + 1
    # A value within rounding of an edge may fall on either side of it.
    assert np.mean(by_edge != cells.place(sample)) < 0.01


def test_a_value_never_seen_among_few_has_a_cell_of_its_own() -> None:
    cells = learn_cells(np.tile([0.0, 1.0, 2.0], 100))
    places = cells.place(np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0]))
    assert len(set(places.tolist())) == 7


def test_narrow_types_are_placed_as_their_values() -> None:
    cells = the_cells("counts")
    whole = np.arange(10)
    for kind in (np.int8, np.int64, np.uint16, np.float32):
        assert np.array_equal(cells.place(whole.astype(kind)), cells.place(whole.astype(float)))
    large = learn_cells(np.arange(1_000_000_000, 1_000_001_000).astype(float))
    assert len(set(large.place(np.array([1_000_000_000, 1_000_000_500, 1_000_000_999])).tolist())) == 3


def test_scores_of_a_continuous_column_are_standard_normal() -> None:
    cells = the_cells("heavy tails")
    scores = cells.scores[cells.place(SAMPLES["heavy tails"])]
    assert abs(scores.mean()) < 0.001
    assert scores.std() == pytest.approx(1.0, abs=0.01)
    assert cells.scores[-1] == 0.0


def test_cells_without_steps_are_stored_as_they_were_before_there_were_steps() -> None:
    assert b"step" in encode(the_cells("normal"))
    assert b"step" not in encode(the_cells("heavy tails"))
