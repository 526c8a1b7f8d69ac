"""Whether an ONNX file that comes from anywhere may be read: whole, of standard operators only, and nothing beside it."""

from collections.abc import Iterable, Iterator

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from kept.core.errors import Forbidden, Invalid

LARGEST_ONNX = 1 << 30
"""Bytes: a file may not be larger."""
_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_MOST_NODES = 200_000
# A file of a few bytes could ask for all memory there is.
_MOST_ELEMENTS = 1 << 28
_EXPORT = "Export it with its weights inside: save_as_external_data=False of onnx.save, or of mlflow.onnx.log_model"


def check_onnx(data: bytes, *, where: str) -> ModelProto:
    """The model in a file's bytes.

    Raises:
        Invalid: it is too large, no ONNX, or not valid by ONNX's own checker; or an operator makes a tensor of more than
            2^28 elements of a single row.
        Forbidden: it holds operators of other domains than ai.onnx and ai.onnx.ml, or refers to other files.
    """
    if len(data) > LARGEST_ONNX:
        raise Invalid(f"it has {len(data):,} bytes, and {LARGEST_ONNX:,} are read at most", where=where)
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise Invalid(f"it is no ONNX model ({error})", where=where, fix="Export it again") from error
    _check_parts(model, where)
    try:
        onnx.checker.check_model(data, full_check=True)
    except Exception as error:
        # The checker's and the shape inference's errors share no class but Exception.
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise Invalid(f"it is not valid: {told[0]}", where=where, fix="Export it again") from error
    _check_sizes(model, where)
    return model


def _check_parts(model: ModelProto, where: str) -> None:
    if len(model.training_info):
        raise Invalid("it holds a graph for training", where=where, fix="Export it for inference")
    own = {(function.domain, function.name) for function in model.functions}
    for number, node in enumerate(_nodes(model)):
        if number >= _MOST_NODES:
            raise Invalid(f"it has more than {_MOST_NODES:,} nodes", where=where)
        if node.domain not in _STANDARD and (node.domain, node.op_type) not in own:
            what = f"its operator {node.op_type} is of the domain {node.domain!r}, which is no standard one"
            raise Forbidden(what, where=where, fix="Export it with operators of ai.onnx and ai.onnx.ml only")
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise Forbidden(f"its tensor {tensor.name!r} is kept in another file", where=where, fix=_EXPORT)


def _check_sizes(model: ModelProto, where: str) -> None:
    """Refuses what makes giant tensors, as far as shapes can be told without running it."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    sizes: dict[str, int] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        count = 1
        for dimension in value.type.tensor_type.shape.dim:
            count *= max(dimension.dim_value, 1)
        sizes[value.name] = count
    for node in inferred.graph.node:
        largest = max((sizes.get(name, 0) for name in node.output), default=0)
        if largest > _MOST_ELEMENTS:
            raise Invalid(f"its operator {node.op_type} makes a tensor of {largest:,} elements", where=where)


def _nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node, those of graphs within nodes and of the model's own functions, too."""
    waiting: list[NodeProto] = [*model.graph.node, *(node for one in model.functions for node in one.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for graph in _graphs(node.attribute):
            waiting.extend(graph.node)


def _graphs(attributes: Iterable[AttributeProto]) -> Iterator[GraphProto]:
    for attribute in attributes:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor that is written down anywhere."""
    graphs = [model.graph]
    sparse: list[SparseTensorProto] = []
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
        graphs += _graphs(node.attribute)
    for graph in graphs:
        yield from graph.initializer
        sparse += graph.sparse_initializer
    for one in sparse:
        yield from (one.values, one.indices)
