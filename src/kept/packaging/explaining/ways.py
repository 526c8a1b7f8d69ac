"""Decision paths of rows through an exported model's trees: what `TreeEnsemble` does, node by node."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged
from kept.measures.tree_shap import Forest

_AT_MOST, _BELOW, _MEMBER = 0, 1, 6


class Splits:
    """The trees of a `TreeEnsemble` operator (ai.onnx.ml, version 5), as its attributes tell them.

    Raises:
        Damaged: they are not such as our exporters write.
    """

    def __init__(self, **told: Any) -> None:
        try:
            self._columns = np.asarray(told["nodes_featureids"], dtype=np.int64)
            self._thresholds = np.asarray(told["nodes_splits"], dtype=np.float64)
            self._modes = np.asarray(told["nodes_modes"])
            self._missing_left = np.asarray(told["nodes_missing_value_tracks_true"], dtype=bool)
            self._children = [
                np.asarray(told[f"nodes_{side}nodeids"], dtype=np.int64)
                + len(self._columns) * np.asarray(told[f"nodes_{side}leafs"], dtype=np.int64)
                for side in ("true", "false")
            ]
            self._targets = np.asarray(told["leaf_targetids"], dtype=np.int64)
            self._values = np.asarray(told["leaf_weights"], dtype=np.float64)
            self.targets = int(told["n_targets"])
            sizes = {len(each) for each in (self._thresholds, self._modes, self._missing_left, *self._children)}
            if sizes != {len(self._columns)} or not np.isin(self._modes, (_AT_MOST, _BELOW, _MEMBER)).all():
                raise ValueError("its nodes are not told in full")
            self._members = np.flatnonzero(self._modes == _MEMBER)
            self._sets = _Sets(np.asarray(told.get("membership_values", ())), self._columns[self._members])
        except (KeyError, ValueError, IndexError) as error:
            raise Damaged(f"its trees are not such as Kept writes: {error}", where="model.onnx") from error

    def forest(self, cover: NDArray[np.float64], columns: int) -> Forest:
        """The trees' shape, with the training rows that came to each leaf."""
        return Forest(
            left=self._children[0],
            right=self._children[1],
            column=self._columns,
            value=self._values,
            target=self._targets,
            cover=cover,
            columns=columns,
            targets=self.targets,
        )

    def goes_left(self, matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each row takes the true branch of each inner node, shape `(inner nodes, rows)`."""
        values = np.ascontiguousarray(matrix.T)[self._columns]
        splits = self._thresholds[:, None]
        found = np.where((self._modes == _BELOW)[:, None], values < splits, values <= splits)
        found[self._members] = self._sets.hold(matrix)
        return np.where(np.isnan(values), self._missing_left[:, None], found)


class _Sets:
    """The sets of the nodes that ask for membership, as a table over all values that any of them holds.

    Args:
        told: the values of one set after another, each with NaN behind it.
        columns: the column that each node asks about.
    """

    def __init__(self, told: NDArray[np.float64], columns: NDArray[np.int64]) -> None:
        ends = np.flatnonzero(np.isnan(told))
        if len(ends) != len(columns):
            raise ValueError("its sets are not those of its nodes")
        node = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1) - 1)
        values = told[~np.isnan(told)]
        self._columns = columns
        self._known = np.unique(values)
        self._table = np.zeros((len(columns), len(self._known) + 1), dtype=bool)
        self._table[node, np.searchsorted(self._known, values)] = True

    def hold(self, matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each node's set holds the rows' values, shape `(nodes, rows)`."""
        if not len(self._columns):
            return np.zeros((0, len(matrix)), dtype=bool)
        asked = np.unique(self._columns)
        values = matrix[:, asked]
        place = np.minimum(np.searchsorted(self._known, values), len(self._known) - 1)
        # What no set holds stands in the last column, where nothing is true.
        place = np.where(self._known[place] == values, place, len(self._known))
        return np.take_along_axis(self._table, place.T[np.searchsorted(asked, self._columns)], axis=1)
