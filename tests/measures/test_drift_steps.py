import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kept.measures.arrays import Array, Floats, Ints
from kept.measures.drift.steps import ABOVE_ALL, BELOW_ALL, MISSING, STEPS, Steps, extent, steps_over


def numbers(steps: Steps, values: Array) -> Ints:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return steps.number(values, extent(values), np.empty(values.size, dtype=np.intp))


def the_steps(low: float, high: float) -> Steps:
    steps = steps_over(low, high)
    assert steps is not None
    return steps


@given(
    low=st.floats(-1e6, 1e6),
    span=st.floats(1e-3, 1e12),
    values=hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(-0.5, 1.5)),
)
def test_numbers_rise_with_the_value_and_are_told_by_the_edges(low: float, span: float, values: Floats) -> None:
    steps = the_steps(low, low + span)
    inside = np.sort(low + span * np.clip(values, -0.2, 1.2))
    found = numbers(steps, inside)
    assert np.all(np.diff(found) >= 0)
    assert np.array_equal(found, np.searchsorted(steps.edges(np.arange(1, STEPS)), inside, side="right"))
    assert found.min() > 0
    assert found.max() < STEPS - 1


@given(values=hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats()))
def test_a_value_has_one_number_whatever_stands_beside_it(values: Floats) -> None:
    steps = the_steps(-3.0, 5.0)
    found = numbers(steps, values)
    assert found.tolist() == [int(numbers(steps, values[place : place + 1])[0]) for place in range(values.size)]
    assert np.array_equal(found == MISSING, np.isnan(values))
    assert np.array_equal(found == BELOW_ALL, values == -np.inf)
    assert np.array_equal(found == ABOVE_ALL, values == np.inf)
    assert np.all(found[values < -20] % STEPS == 0)
    assert np.all(np.isin(found[values > 20], [STEPS - 1, ABOVE_ALL]))


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.uint16, np.int64, np.float16, np.float32])
def test_narrow_types_are_numbered_as_their_values(kind: type) -> None:
    steps = the_steps(0.1, 0.7)
    values: Array = np.array([0, 1, 1, 0]).astype(kind)
    assert numbers(steps, values).tolist() == numbers(steps, values.astype(np.float64)).tolist()


def test_edges_at_ties_are_those_of_rounding_to_the_even_number() -> None:
    steps = the_steps(0.0, 1.0)
    edges = steps.edges(np.arange(1, 101))
    assert numbers(steps, edges).tolist() == list(range(1, 101))
    assert numbers(steps, np.nextafter(edges, -np.inf)).tolist() == list(range(100))


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 1.0), (-1e308, 1e308), (0.0, 5e-324), (1e300, np.nextafter(1e300, np.inf)), (0.0, np.inf)]
)
def test_there_are_no_steps_where_floats_have_none(low: float, high: float) -> None:
    assert steps_over(low, high) is None


def test_columns_far_from_zero_have_steps_too() -> None:
    steps = the_steps(1_700_000_000.0, 1_700_003_600.0)
    found = numbers(steps, 1_700_000_000.0 + np.arange(3_600))
    assert np.all(np.diff(found) >= 1)


def test_the_extent_leaves_missing_values_out() -> None:
    assert extent(np.array([2.0, np.nan, -1.0])) == (-1.0, 2.0, True)
    assert extent(np.array([2, 3])) == (2.0, 3.0, False)
    assert np.isnan(extent(np.array([np.nan]))[:2]).all()
