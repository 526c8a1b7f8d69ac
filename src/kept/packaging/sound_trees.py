"""Structural checks of untrusted models' trees, which scikit-learn follows unchecked."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import BaseEnsemble
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree

from kept.core.errors import Damaged
from kept.packaging.fitted_parts import parts_with

_WHERE = "skops file"
_UNBOUND = 1 << 30


def check_trees(estimator: Any) -> None:
    """Refuses a model one of whose trees leads to a node or a column that is not there, or in a circle, with `Damaged`."""
    for tree, width in _trees(estimator):
        sound = _is_sound(tree, width) if isinstance(tree, Tree) else _is_sound_predictor(tree, width)
        if not sound:
            what = "a tree leads to a node or a column that is not there, or in a circle"
            raise Damaged(what, where=_WHERE, fix="Log the model again")


def is_tree(left: NDArray[np.int64], right: NDArray[np.int64]) -> bool:
    """Whether every node but the first is the child of one node before it; a node whose `left` is negative is a leaf."""
    inner = left >= 0
    parents = np.flatnonzero(inner)
    if not ((left[inner] > parents) & (right[inner] > parents)).all():
        return False
    children = np.sort(np.concatenate([left[inner], right[inner]]))
    return bool(np.array_equal(children, np.arange(1, len(left))))


def _trees(estimator: Any) -> Iterator[tuple[Any, int]]:
    """Every tree in an estimator, with the number of columns that it is given.

    That is what the nearest estimator takes, but no more than the ensemble it is in, which gives its rows to its trees
    past the check of their own estimators.
    """
    for part, (width, bound) in parts_with(estimator, (_UNBOUND, _UNBOUND), _widths):
        if isinstance(part, Tree | TreePredictor):
            yield part, min(width, bound)


def _widths(part: Any, told: tuple[int, int]) -> tuple[int, int]:
    """The columns that what is below a part is given, by the nearest estimator and by the ensemble."""
    columns = getattr(part, "__dict__", {}).get("n_features_in_")
    if not isinstance(columns, int | np.integer):
        return told
    if isinstance(part, BaseEnsemble):
        return int(columns), int(columns)
    return int(columns), told[1] if isinstance(part, BaseDecisionTree) else _UNBOUND


def _is_sound(tree: Any, width: int) -> bool:
    # Its arrays are views of memory that may end before them: this first.
    if not 0 < tree.node_count <= tree.capacity:
        return False
    left, right = tree.children_left.astype(np.int64), tree.children_right.astype(np.int64)
    return is_tree(left, right) and _within(tree.feature[left >= 0], width)


def _is_sound_predictor(predictor: Any, width: int) -> bool:
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    left, right = (np.where(inner, nodes[side].astype(np.int64), -1) for side in ("left", "right"))
    sets = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    return (
        len(nodes) > 0
        and is_tree(left, right)
        and _within(nodes["feature_idx"][inner], width)
        and _within(sets, len(predictor.raw_left_cat_bitsets))
    )


def _within(places: NDArray[Any], size: int) -> bool:
    return bool(((places >= 0) & (places < size)).all())
