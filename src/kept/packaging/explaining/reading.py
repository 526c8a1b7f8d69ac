"""The trees or weights in an exported model, read from its graph: one way for all kinds of models that are exported."""

from typing import Any, Literal

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from kept.core.errors import Damaged
from kept.packaging.explaining.ways import Splits

Link = Literal["identity", "sigmoid", "softmax", "exp"]

_LINKS: dict[str, Link] = {"Sigmoid": "sigmoid", "Softmax": "softmax", "Exp": "exp"}
_SHORT = 8
_WHERE = "model.onnx"


class Sums(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What an exported model computes in the end: `link(factor * sums)`, the sums of trees or of weighted columns.

    Args:
        link: from sums to answers.
        factor: of all sums.
        tensor: the matrix that the trees or weights are given.
        splits: the trees; None for weights.
        weights: shape `(columns, targets)`; None for trees.
        bias: what each sum of weighted columns begins with.
    """

    link: Link
    factor: float
    tensor: str
    splits: Splits | None = None
    weights: NDArray[np.float64] | None = None
    bias: NDArray[np.float64] | None = None


class Graph:
    """An exported model. `Damaged` when the bytes are none."""

    def __init__(self, data: bytes) -> None:
        try:
            self._model = onnx.load_model_from_string(data)
        except Exception as error:
            # What protobuf raises shares no class but Exception.
            raise Damaged(f"it cannot be read: {error}", where=_WHERE) from error
        graph = self._model.graph
        self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._makers = {node.output[0]: node for node in graph.node}

    def sums(self) -> Sums | None:
        """What its answers are made of; None when they are made otherwise than our exporters do."""
        name, factor, bias = self._model.graph.output[0].name, 1.0, np.zeros(1)
        link: Link = "identity"
        for _ in range(_SHORT):
            node = self._makers.get(name)
            if node is None:
                return None
            name = node.input[0]
            kind = node.op_type
            if kind == "TreeEnsemble":
                splits = Splits(**{one.name: _plain(one) for one in node.attribute})
                return Sums(link=link, factor=factor, tensor=name, splits=splits)
            constant = self._constants.get(node.input[1]) if len(node.input) > 1 else None
            if kind == "MatMul" and constant is not None:
                return Sums(link=link, factor=factor, tensor=name, weights=constant, bias=bias)
            if kind in _LINKS and link == "identity":
                link = _LINKS[kind]
            elif kind in {"Mul", "Div"} and constant is not None and constant.size == 1:
                factor = factor * float(constant) if kind == "Mul" else factor / float(constant)
            elif kind == "Add" and constant is not None:
                bias = constant
            elif kind != "Identity":
                return None
        return None

    def up_to(self, tensor: str, width: int) -> bytes | None:
        """The model that answers one of its own matrices; None when that is what it takes."""
        if tensor == self._model.graph.input[0].name:
            return None
        part = onnx.ModelProto()
        part.CopyFrom(self._model)
        del part.graph.output[:]
        part.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.DOUBLE, ["rows", width]))
        return bytes(part.SerializeToString())


def answers(sums: NDArray[np.float64], link: Link) -> NDArray[np.float64]:
    """What a link makes of sums of shape `(rows, targets)`."""
    if link == "identity":
        return sums
    with np.errstate(over="ignore"):
        if link == "exp":
            return np.asarray(np.exp(sums))
        if link == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-sums)))
    grown = np.exp(sums - sums.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def _plain(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
