"""Shapley values by sampling, held against the definition over all orders."""

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.measures.arrays import Flags, Floats, Ints
from kept.measures.sampled_shapley import Ask, sampled_shapley


def model(values: Floats) -> Floats:
    return np.column_stack([values[:, 0] * values[:, 1] + np.maximum(values[:, 2], 0), values.sum(axis=1)])


def asking(row: Floats, background: Floats) -> Ask:
    def ask(known: Flags, fills: Ints) -> Floats:
        return model(np.where(known, row, background[fills]))

    return ask


def by_definition(row: Floats, background: Floats) -> Floats:
    orders = list(permutations(range(row.size)))
    found = np.zeros((2, row.size))
    for order in orders:
        mixed = background.copy()
        before = model(mixed).mean(axis=0)
        for column in order:
            mixed[:, column] = row[column]
            after = model(mixed).mean(axis=0)
            found[:, column] += (after - before) / len(orders)
            before = after
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 30))
def test_contributions_add_up_to_the_answer(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    row, background = random.normal(size=4), random.normal(size=(rows, 4))
    found = sampled_shapley(asking(row, background), 4, rows, orders=40, seed=seed)
    np.testing.assert_allclose(found.base, model(background).mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=1), model(row[None])[0], atol=1e-9)
    assert found.orders >= 40
    # The sum of the columns has no interactions: each order tells the same of a background row.
    np.testing.assert_allclose(found.contributions[1], row - background.mean(axis=0), atol=1e-9)


def test_intervals_hold_the_true_value() -> None:
    random = np.random.default_rng(5)
    inside = []
    for seed in range(40):
        row, background = random.normal(size=4), random.normal(size=(25, 4))
        found = sampled_shapley(asking(row, background), 4, 25, orders=100, seed=seed)
        inside.append(np.abs(found.contributions - by_definition(row, background)) <= found.half_width + 1e-12)
    assert np.mean(inside) >= 0.95


def test_the_same_seed_gives_the_same_numbers_and_memory_does_not_matter() -> None:
    random = np.random.default_rng(1)
    row, background = random.normal(size=4), random.normal(size=(10, 4))
    first = sampled_shapley(asking(row, background), 4, 10, orders=200, seed=3)
    again = sampled_shapley(asking(row, background), 4, 10, orders=200, seed=3)
    np.testing.assert_array_equal(first.contributions, again.contributions)


def test_one_order_has_no_interval() -> None:
    row = np.ones(4)
    found = sampled_shapley(asking(row, np.zeros((1, 4))), 4, 1, orders=2, seed=0)
    assert np.isinf(found.half_width).all()
