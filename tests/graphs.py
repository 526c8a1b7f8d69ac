"""ONNX graphs of models that take tensors, written by hand: small, and like those that exporters write."""

from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

IMAGE = (3, 8, 8)
CLASSES = ("bird", "cat", "dog")


def value(name: str, kind: int, shape: list[int | str]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model_of(graph: GraphProto, **more: Any) -> ModelProto:
    given = {"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 8, "producer_name": "by hand"} | more
    return helper.make_model(graph, **given)


def image_model(*, rows: int | str = "rows", seed: int = 0) -> bytes:
    """Images of 3 x 8 x 8 float32: a convolution, its pooled `embedding` of 5, and `logits` of 3 classes."""
    random = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {
        "kernel": random.normal(size=(5, 3, 3, 3)).astype(np.float32),
        "mixing": random.normal(size=(5, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["positive"]),
        helper.make_node("ReduceMean", ["positive"], ["embedding"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["embedding", "mixing"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "image",
        [value("image", TensorProto.FLOAT, [rows, *IMAGE])],
        [value("logits", TensorProto.FLOAT, [rows, 3]), value("embedding", TensorProto.FLOAT, [rows, 5])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return bytes(model_of(graph).SerializeToString())


def mixed_model() -> bytes:
    """Tokens of any number (int64), a mask of them (bool), pixels (uint8) and a single number (float64)."""
    table = np.linspace(-1, 1, 30).reshape(10, 3)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["vectors"]),
        helper.make_node("Cast", ["mask"], ["ones"], to=TensorProto.DOUBLE),
        helper.make_node("Unsqueeze", ["ones", "last"], ["weights"]),
        helper.make_node("Mul", ["vectors", "weights"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "first"], ["summed"], keepdims=0),
        helper.make_node("Cast", ["pixels"], ["light"], to=TensorProto.DOUBLE),
        helper.make_node("ReduceMean", ["light"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Add", ["mean", "offset"], ["value"]),
        helper.make_node("Greater", ["kept", "zero"], ["above"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mixed",
        [
            value("tokens", TensorProto.INT64, ["rows", "tokens"]),
            value("mask", TensorProto.BOOL, ["rows", "tokens"]),
            value("pixels", TensorProto.UINT8, ["rows", 2, 2]),
            value("offset", TensorProto.DOUBLE, ["rows"]),
        ],
        [
            value("summed", TensorProto.DOUBLE, ["rows", 3]),
            value("value", TensorProto.DOUBLE, ["rows"]),
            value("above", TensorProto.BOOL, ["rows", "tokens", 3]),
        ],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "first"),
            numpy_helper.from_array(np.array(0.0), "zero"),
        ],
    )
    return bytes(model_of(graph).SerializeToString())
