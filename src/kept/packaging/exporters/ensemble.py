"""Sums of trees as one `TreeEnsemble` operator (ai.onnx.ml, version 5) with float64 thresholds and leaves."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Tensor

_SUM, _NO_TRANSFORM = 1, 0
_AT_MOST, _BELOW, _MEMBER = 0, 1, 6

# Beyond this the operator's attributes take longer to read than scikit-learn's own file.
_MOST_NODES = 4_000_000


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """One tree as arrays over its nodes; a node whose `left` is negative is a leaf.

    A row goes left where its value is at most the threshold, or where it is NaN and `missing_left` holds.
    Where `members` has an entry, the row goes left if its value is in that set instead, with NaN and
    values in neither set as `missing_left` says. `cover` is how many training rows came to a node, or their weight.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    cover: NDArray[np.float64]
    members: "dict[int, Members]" = msgspec.field(default_factory=dict)


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """The known categories that go left and right at a node, as whole numbers that are not negative."""

    left: tuple[int, ...]
    right: tuple[int, ...]


class Ensemble:
    """Trees whose leaves are summed per target, in the order in which they were added.

    ONNX Runtime sums in that order too, so the sum is the same to the last bit as one that scikit-learn takes.
    """

    def __init__(self) -> None:
        self._nodes = 0
        self._leaves = 0
        self._parts: dict[str, list[NDArray[np.float64] | NDArray[np.int64]]] = {name: [] for name in _ATTRIBUTES}
        self._decides: list[NDArray[np.bool_]] = []
        self._covers: list[NDArray[np.float64]] = []
        self._member_values: list[float] = []
        self._member_features: set[int] = set()

    def add_constant(self, value: float, target: int) -> None:
        """A number that is added for every row."""
        # Every way through this tree leads to the value. A node whose two branches share one leaf would say it shorter,
        # but ONNX Runtime (1.31) then takes the leaf from the place of the node.
        tree = Tree(
            left=np.array([1, -1, -1]),
            right=np.array([2, -1, -1]),
            feature=np.zeros(3, dtype=np.int64),
            threshold=np.zeros(3),
            missing_left=np.zeros(3, dtype=bool),
            value=np.full(3, value, dtype=np.float64),
            cover=np.ones(3),
        )
        self.add(tree, target, decides=False)

    def add(self, tree: Tree, target: int, *, decides: bool = True) -> None:
        """A tree whose leaf value is added for every row. With `decides` its thresholds matter to the result."""
        leaf = tree.left < 0
        rows = np.flatnonzero(~leaf)
        if not len(rows):
            self.add_constant(float(tree.value[0]), target)
            return
        left, right = tree.left[rows], tree.right[rows]
        place = np.where(leaf, self._leaves + np.cumsum(leaf) - 1, self._nodes + np.cumsum(~leaf) - 1)
        modes = np.full(len(rows), _AT_MOST)
        tracks = tree.missing_left[rows].astype(np.int64)
        splits = tree.threshold[rows].copy()
        for at, node in enumerate(rows):
            if (members := tree.members.get(int(node))) is not None:
                # The set asked for is the one without the missing and unknown values: those then fall to the other side.
                asked = members.right if tree.missing_left[node] else members.left
                tracks[at] = 0
                if tree.missing_left[node]:
                    left[at], right[at] = right[at], left[at]
                modes[at], splits[at] = self._ask(asked, int(tree.feature[node]))
        self._put("tree_roots", np.array([self._nodes]))
        self._put("nodes_featureids", tree.feature[rows])
        self._decides.append(np.full(len(rows), decides))
        self._put("nodes_splits", splits)
        self._put("nodes_modes", modes)
        self._put("nodes_missing_value_tracks_true", tracks)
        self._put("nodes_truenodeids", place[left])
        self._put("nodes_falsenodeids", place[right])
        self._put("nodes_trueleafs", leaf[left].astype(np.int64))
        self._put("nodes_falseleafs", leaf[right].astype(np.int64))
        self._put("leaf_targetids", np.full(int(leaf.sum()), target))
        self._put("leaf_weights", tree.value[leaf])
        self._covers.append(tree.cover[leaf])
        self._nodes += len(rows)
        self._leaves += int(leaf.sum())

    def write(self, graph: Graph, features: Tensor, targets: int) -> str:
        """The name of the sums, of shape [rows, targets]."""
        if self._nodes > _MOST_NODES:
            raise Invalid(
                f"the trees have {self._nodes} nodes, more than the {_MOST_NODES} that one operator should hold"
            )
        joined = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        plain = (joined["nodes_modes"] == _AT_MOST) & np.concatenate(self._decides)
        graph.note_splits(features.origin, joined["nodes_featureids"][plain], joined["nodes_splits"][plain])
        graph.member_columns |= {int(features.origin.columns[place]) for place in self._member_features} - {-1}
        graph.note_parts(features.origin, np.concatenate(self._covers))
        attributes = {name: joined[name].astype(np.int64).tolist() for name in _ATTRIBUTES if name not in _TENSORS}
        for name, kind in _TENSORS.items():
            attributes[name] = _tensor(name, kind, joined[name])
        if self._member_values:
            attributes["membership_values"] = _tensor(
                "membership_values", TensorProto.DOUBLE, np.asarray(self._member_values)
            )
        return graph.node(
            "TreeEnsemble",
            features.name,
            domain="ai.onnx.ml",
            n_targets=targets,
            aggregate_function=_SUM,
            post_transform=_NO_TRANSFORM,
            **attributes,
        )

    def _ask(self, asked: tuple[int, ...], feature: int) -> tuple[int, float]:
        """The mode and split of a node that asks for membership in a set."""
        self._member_features.add(feature)
        if not asked:
            # The operator has no empty set; no value is below minus infinity.
            return _BELOW, -np.inf
        self._member_values += [*map(float, asked), np.nan]
        return _MEMBER, 0.0

    def _put(self, name: str, values: NDArray[np.float64] | NDArray[np.int64]) -> None:
        self._parts[name].append(values)


_ATTRIBUTES = (
    "tree_roots",
    "nodes_featureids",
    "nodes_splits",
    "nodes_modes",
    "nodes_missing_value_tracks_true",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_trueleafs",
    "nodes_falseleafs",
    "leaf_targetids",
    "leaf_weights",
)
_TENSORS = {"nodes_splits": TensorProto.DOUBLE, "nodes_modes": TensorProto.UINT8, "leaf_weights": TensorProto.DOUBLE}


def _tensor(name: str, kind: int, values: NDArray[Any]) -> TensorProto:
    numpy_kind = np.uint8 if kind == TensorProto.UINT8 else np.float64
    return helper.make_tensor(name, kind, values.shape, values.astype(numpy_kind).tobytes(), raw=True)
