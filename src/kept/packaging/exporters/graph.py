"""An ONNX graph in the making: float64 throughout, one input `features` of shape [rows, columns]."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, compose, helper, numpy_helper

from kept.core.errors import Invalid

INPUT = "features"
OUTPUT = "answers"

# Numbers that every ONNX Runtime since 1.19 reads; TreeEnsemble came with version 5 of the machine-learning operators.
OPERATORS = 20
_ML_OPERATORS = 5
_FORMAT = 10


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the columns of a tensor come from: column j is `input[:, columns[j]] * scale[j] + offset[j]`, roughly.

    -1 stands for a column that is not such a multiple. It serves to find the inputs that fall on a tree's thresholds.
    `inputs` names the one input column that each was made of, in whatever way; -1 where there are several.
    """

    columns: NDArray[np.int64]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    inputs: NDArray[np.int64]

    def pick(self, places: NDArray[np.int64]) -> "Origin":
        """The origin of some of the columns."""
        return Origin(
            columns=self.columns[places],
            scale=self.scale[places],
            offset=self.offset[places],
            inputs=self.inputs[places],
        )

    def scaled(self, scale: NDArray[np.float64] | float, offset: NDArray[np.float64] | float) -> "Origin":
        """The origin of every column times a number plus a number."""
        return Origin(
            columns=self.columns, scale=self.scale * scale, offset=self.offset * scale + offset, inputs=self.inputs
        )

    @classmethod
    def other(cls, inputs: NDArray[np.int64]) -> "Origin":
        """The origin of columns that are no multiples of the inputs they were made of."""
        none = np.zeros(len(inputs))
        return cls(columns=np.full(len(inputs), -1), scale=none, offset=none, inputs=inputs)


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """A float64 matrix in the graph."""

    name: str
    origin: Origin

    @property
    def width(self) -> int:
        """How many columns it has."""
        return len(self.origin.columns)


class Graph:
    """Collects nodes and constants, and what a check of the result needs to know.

    Args:
        width: the number of input columns.
        coded: the input columns that hold category codes of an encoder, so nothing but whole numbers, NaN and infinity.
        words: for a column that was text when the estimator was trained, the texts in the order of their codes.
    """

    def __init__(
        self, width: int, coded: frozenset[int] = frozenset(), words: Mapping[int, tuple[str, ...]] | None = None
    ) -> None:
        self.coded = coded
        self.words = words or {}
        self.splits: dict[int, list[NDArray[np.float64]]] = {}
        self.member_columns: set[int] = set()
        self.inputs: NDArray[np.int64] | None = None
        self.covers: NDArray[np.float64] | None = None
        self.converted: list[str] = []
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        places = np.arange(width)
        identity = Origin(columns=places, scale=np.ones(width), offset=np.zeros(width), inputs=places)
        self.input = Tensor(name=INPUT, origin=identity)

    def constant(self, values: Any, kind: type = np.float64) -> str:
        """The name of a constant."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype=kind), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """The name of an operator's result."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def sum(self, names: Sequence[str]) -> str:
        """The name of the sum of tensors, added one after the other."""
        total = names[0]
        for name in names[1:]:
            total = self.node("Add", total, name)
        return total

    def embed(self, model: ModelProto, feeds: Mapping[str, str]) -> str:
        """The name of the result of another graph, which has one; each of its inputs is fed with a tensor of this one."""
        if model.functions:
            raise Invalid("the graph has functions of its own")
        prefix = f"embedded_{len(self._nodes)}_"
        inner = compose.add_prefix(model, prefix).graph
        for name, fed in feeds.items():
            self._nodes.append(helper.make_node("Identity", [fed], [prefix + name]))
        self._nodes.extend(inner.node)
        self._constants.extend(inner.initializer)
        return str(inner.output[0].name)

    def note_splits(self, origin: Origin, columns: NDArray[np.int64], thresholds: NDArray[np.float64]) -> None:
        """Remembers which values of which input columns decide the way in a tree."""
        for place in np.unique(columns):
            column = int(origin.columns[place])
            if column >= 0 and origin.scale[place] != 0:
                found = (thresholds[columns == place] - origin.offset[place]) / origin.scale[place]
                self.splits.setdefault(column, []).append(found)

    def note_parts(self, origin: Origin, covers: NDArray[np.float64] | None = None) -> None:
        """Remembers what explains answers: the columns that trees or weights are given, and the covers of the trees' leaves."""
        self.inputs, self.covers = (origin.inputs, covers) if (origin.inputs >= 0).all() else (None, None)

    def note_no_parts(self) -> None:
        """Remembers that answers are made of several models, or in a way that nothing explains exactly."""
        self.inputs, self.covers = None, None

    def finish(self, result: str, columns: int) -> bytes:
        """The model as bytes, answering `answers` of shape [rows, columns]."""
        self._nodes.append(helper.make_node("Identity", [result], [OUTPUT]))
        nodes = self._needed()
        used = set().union(*map(_names, nodes))
        graph = helper.make_graph(
            nodes,
            "model",
            [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, ["rows", self.input.width])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, ["rows", columns])],
            [one for one in self._constants if one.name in used],
        )
        model: ModelProto = helper.make_model(
            graph,
            ir_version=_FORMAT,
            producer_name="kept",
            opset_imports=[helper.make_opsetid("", OPERATORS), helper.make_opsetid("ai.onnx.ml", _ML_OPERATORS)],
        )
        return bytes(model.SerializeToString())

    def _needed(self) -> list[NodeProto]:
        """The nodes that the answers are made of, without what an exporter left that gave up."""
        wanted, kept = {OUTPUT}, []
        for node in reversed(self._nodes):
            if wanted & set(node.output):
                kept.append(node)
                wanted |= _names(node)
        return kept[::-1]


def _names(node: NodeProto) -> set[str]:
    """All that a node is made of, with what graphs within it take from outside."""
    found = set(node.input)
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            found = found.union({one.name for one in graph.output}, *map(_names, graph.node))
    return found
