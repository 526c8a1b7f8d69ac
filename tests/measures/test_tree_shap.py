"""Exact Shapley values of trees, held against the definition: all subsets of columns."""

from itertools import combinations
from math import factorial
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.measures import tree_shap
from kept.measures.arrays import Flags, Floats
from kept.measures.tree_shap import Forest, TreeShap


def grown(random: np.random.Generator, *, trees: int, depth: int, columns: int, targets: int) -> tuple[Forest, Floats]:
    """Trees of random shape, and the thresholds of their inner nodes."""
    inner: list[list[int]] = []
    leaves: list[tuple[float, int, float]] = []

    def grow(level: int, target: int) -> int:
        if level and (level == depth or random.random() < 0.25):
            leaves.append((random.normal(), target, float(random.integers(0, 9))))
            return -len(leaves)
        inner.append([0, 0, int(random.integers(columns))])
        node = inner[-1]
        place = len(inner) - 1
        node[0], node[1] = grow(level + 1, target), grow(level + 1, target)
        return place

    for tree in range(trees):
        grow(0, tree % targets)
    nodes = np.array(inner)
    places = np.where(nodes < 0, len(inner) - 1 - nodes, nodes)
    value, target, cover = (np.array(each) for each in zip(*leaves, strict=True))
    forest = Forest(
        left=places[:, 0], right=places[:, 1], column=nodes[:, 2], value=value, target=target.astype(int),
        cover=cover, columns=columns, targets=targets,
    )  # fmt: skip
    return forest, random.normal(size=len(inner))


def expected(forest: Forest, goes_left: Flags, known: frozenset[int]) -> Floats:
    """Algorithm 1 of Lundberg et al. (2018): the sums when only some columns are known."""
    inner = len(forest.left)
    found = np.zeros(forest.targets)

    def cover(place: int) -> float:
        if place >= inner:
            return float(forest.cover[place - inner])
        return cover(forest.left[place]) + cover(forest.right[place])

    def walk(place: int, weight: float) -> None:
        if place >= inner:
            found[forest.target[place - inner]] += weight * forest.value[place - inner]
            return
        left, right = int(forest.left[place]), int(forest.right[place])
        if int(forest.column[place]) in known:
            walk(left if goes_left[place] else right, weight)
            return
        share = cover(left) / cover(place) if cover(place) else 0.5
        walk(left, weight * share)
        walk(right, weight * (1 - share))

    below = set(forest.left.tolist()) | set(forest.right.tolist())
    for root in set(range(inner)) - below:
        walk(root, 1.0)
    return found


def by_definition(forest: Forest, goes_left: Flags) -> Floats:
    columns = range(forest.columns)
    worth = {
        frozenset(some): expected(forest, goes_left, frozenset(some))
        for size in range(forest.columns + 1)
        for some in combinations(columns, size)
    }
    found = np.zeros((forest.targets, forest.columns))
    for column in columns:
        for some, value in worth.items():
            if column not in some:
                orders = factorial(len(some)) * factorial(forest.columns - len(some) - 1) / factorial(forest.columns)
                found[:, column] += orders * (worth[some | {column}] - value)
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    trees=st.integers(1, 4),
    depth=st.integers(1, 7),
    columns=st.integers(1, 5),
    targets=st.integers(1, 2),
)
def test_contributions_are_those_of_the_definition(
    seed: int, trees: int, depth: int, columns: int, targets: int
) -> None:
    random = np.random.default_rng(seed)
    forest, thresholds = grown(random, trees=trees, depth=depth, columns=columns, targets=targets)
    rows = random.normal(size=(3, columns))
    goes_left = rows.T[forest.column] <= thresholds[:, None]
    shap = TreeShap(forest)
    found = shap.explain(goes_left)
    np.testing.assert_allclose(shap.base, expected(forest, goes_left[:, 0], frozenset()), atol=1e-9)
    for row in range(3):
        np.testing.assert_allclose(found[row], by_definition(forest, goes_left[:, row]), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 14), columns=st.integers(1, 40))
def test_contributions_add_up_to_the_answer(seed: int, depth: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    forest, thresholds = grown(random, trees=5, depth=depth, columns=columns, targets=2)
    rows = random.normal(size=(300, columns))
    goes_left = rows.T[forest.column] <= thresholds[:, None]
    shap = TreeShap(forest)
    found = shap.explain(goes_left)
    answers = np.array([expected(forest, goes_left[:, row], frozenset(range(columns))) for row in (0, 255, 256, 299)])
    np.testing.assert_allclose(shap.base + found[[0, 255, 256, 299]].sum(axis=2), answers, atol=1e-9)
    assert shap.cost > 0


def test_a_column_that_no_tree_asks_about_adds_nothing() -> None:
    random = np.random.default_rng(0)
    forest, thresholds = grown(random, trees=3, depth=4, columns=3, targets=1)
    wider = msgspec.structs.replace(forest, columns=5)
    found = TreeShap(wider).explain(random.normal(size=(3, 7))[forest.column] <= thresholds[:, None])
    assert not found[:, :, 3:].any()


@pytest.mark.parametrize(
    "broken",
    [
        {"left": np.array([0])},
        {"left": np.array([3])},
        {"right": np.array([1])},
        {"column": np.array([2])},
        {"target": np.array([0, 1])},
        {"targets": 10**9},
        {"cover": np.array([1.0, np.nan])},
        {"cover": np.array([1.0, -1.0])},
        {"cover": np.array([1.0])},
    ],
)
def test_what_is_no_forest_is_refused(broken: dict[str, Any]) -> None:
    whole: dict[str, Any] = {
        "left": np.array([1]), "right": np.array([2]), "column": np.array([0]), "value": np.array([1.0, 2.0]),
        "target": np.array([0, 0]), "cover": np.array([3.0, 4.0]), "columns": 2, "targets": 1,
    }  # fmt: skip
    with pytest.raises(Invalid):
        TreeShap(Forest(**whole | broken))


def test_trees_that_would_take_all_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    forest, _ = grown(np.random.default_rng(0), trees=9, depth=6, columns=3, targets=1)
    monkeypatch.setattr(tree_shap, "_MOST_STEPS", 50)
    with pytest.raises(Invalid, match="too large"):
        TreeShap(forest)
