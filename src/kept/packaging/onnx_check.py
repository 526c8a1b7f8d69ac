"""Whether an ONNX file that comes from anywhere may be read: whole, of standard operators only, and nothing beside it."""

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, SparseTensorProto, TensorProto

from kept.core.errors import Forbidden, Invalid
from kept.packaging.onnx_sizes import bodies_of, check_calls, check_sizes

LARGEST_ONNX = 1 << 30
"""Bytes: a file may not be larger."""
_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_MOST_NODES = 200_000
_EXPORT = "Export it with its weights inside: save_as_external_data=False of onnx.save, or of mlflow.onnx.log_model"


def check_onnx(data: bytes, *, where: str) -> ModelProto:
    """The model in a file's bytes.

    Raises:
        Invalid: it is too large, no ONNX, or not valid by ONNX's own checker; or it may take memory or time without a bound:
            an operator makes a tensor of more than 2^28 elements of a single row, or one whose size comes with a request.
        Forbidden: it holds operators of other domains than ai.onnx and ai.onnx.ml, or refers to other files.
    """
    if len(data) > LARGEST_ONNX:
        raise Invalid(f"it has {len(data):,} bytes, and {LARGEST_ONNX:,} are read at most", where=where)
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise Invalid(f"it is no ONNX model ({error})", where=where, fix="Export it again") from error
    _check_parts(model, where)
    check_calls(model, where=where)
    try:
        onnx.checker.check_model(data, full_check=True)
    except Exception as error:
        # The checker's and the shape inference's errors share no class but Exception.
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise Invalid(f"it is not valid: {told[0]}", where=where, fix="Export it again") from error
    check_sizes(model, where=where)
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


def _nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node, those of graphs within nodes and of the model's own functions, too."""
    waiting: list[NodeProto] = [*model.graph.node, *(node for one in model.functions for node in one.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for graph in bodies_of(node):
            waiting.extend(graph.node)


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
        graphs += bodies_of(node)
    for graph in graphs:
        yield from graph.initializer
        sparse += graph.sparse_initializer
    for one in sparse:
        yield from (one.values, one.indices)
