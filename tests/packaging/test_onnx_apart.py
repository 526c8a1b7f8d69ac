"""Foreign ONNX files are looked at in a process whose memory is bounded."""

import resource

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphs import image_model, model_of, value
from kept.core.errors import Forbidden, Invalid
from kept.packaging.onnx_apart import check_apart


def giant(length: int) -> bytes:
    """160 bytes for which shape inference remembers each of so many elements."""
    nodes = [
        helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Gather", ["whole", "first"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.INT64, [length])],
        [value("y", TensorProto.INT64, [])],
        [numpy_helper.from_array(np.array(0), "first")],
    )
    return bytes(model_of(graph).SerializeToString())


def test_what_would_take_all_memory_is_refused_and_takes_none_here() -> None:
    data = giant(1 << 33)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Invalid, match="takes more than|not valid|tensor"):
        check_apart(data, where="giant.onnx")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_what_is_well_made_passes() -> None:
    check_apart(image_model(), where="image.onnx")


def test_a_refusal_is_said_as_in_this_process() -> None:
    with pytest.raises(Invalid, match=r"bad\.onnx: it is no ONNX model"):
        check_apart(b"\xff\xff", where="bad.onnx")
    foreign = helper.make_graph(
        [helper.make_node("Do", ["x"], ["y"], domain="elsewhere")],
        "g",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    made = model_of(foreign, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)])
    with pytest.raises(Forbidden, match="no standard one"):
        check_apart(bytes(made.SerializeToString()), where="foreign.onnx")
