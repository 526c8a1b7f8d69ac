"""A small ONNX file cannot ask for all the memory or all the time there is, wherever in it that is written."""

import time
from typing import Any

import numpy as np
import pytest
from onnx import FunctionProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper

from kept.core.errors import Invalid
from kept.packaging.onnx_check import check_onnx
from kept.packaging.onnx_model import open_session

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
GIANT = 1 << 20
STANDARD = helper.make_opsetid("", 20)


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return helper.make_node(kind, ["" if one == "-" else one for one in inputs.split()], outputs.split(), **attributes)


def value(name: str, kind: int = FLOAT, shape: list[Any] | None = None) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes: list[Any], constants: dict[str, Any], functions: list[FunctionProto] | None = None) -> bytes:
    """Reads `x` of shape [rows, length], answers `y`."""
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", FLOAT, ["rows", "length"])],
        [value("y", FLOAT, ["rows", None])],
        [numpy_helper.from_array(np.array(array), name) for name, array in constants.items()],
    )
    opsets = [STANDARD, *([helper.make_opsetid("own", 1)] if functions else [])]
    made: ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions)
    return bytes(made.SerializeToString())


def body(nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> GraphProto:
    return helper.make_graph(nodes, "body", inputs, outputs)


def turn(nodes: list[Any], outputs: list[Any] | None = None) -> GraphProto:
    """The body of a loop that carries `state` to `after`."""
    return body(
        [node("Identity", "go", "on"), *nodes],
        [value("i", INT64, []), value("go", BOOL, []), value("state")],
        [value("on", BOOL, []), *(outputs or [value("after")])],
    )


WHOLE = node("ReduceSum", "big", "sum", keepdims=0)
ADDED = node("Add", "x sum", "y")


def giant_in_a_branch() -> bytes:
    large = body(
        [node("Expand", "zero shape", "big"), node("ReduceSum", "big", "s", keepdims=0)], [], [value("s", FLOAT, [])]
    )
    small = body([node("ReduceSum", "x", "t", keepdims=0)], [], [value("t", FLOAT, [])])
    chosen = node("If", "always", "sum", then_branch=large, else_branch=small)
    return model([chosen, ADDED], {"zero": np.array([0], np.float32), "shape": [GIANT, GIANT], "always": True})


def giant_in_a_loop() -> bytes:
    inner = turn([node("Expand", "state shape", "big"), WHOLE, node("Add", "state sum", "after")])
    return model([node("Loop", "count - x", "y", body=inner)], {"count": 3, "shape": [GIANT, GIANT, 1, 1]})


def giant_in_a_scan() -> bytes:
    inner = body(
        [node("Expand", "row shape", "big"), WHOLE, node("Add", "state sum", "after"), node("Identity", "row", "out")],
        [value("state", FLOAT, []), value("row", FLOAT, [None])],
        [value("after", FLOAT, []), value("out", FLOAT, [None])],
    )
    scanned = node("Scan", "none x", "end y", body=inner, num_scan_inputs=1)
    return model([scanned], {"none": np.float32(0), "shape": [GIANT, GIANT, 1]})


def giant_in_a_function() -> bytes:
    whole = helper.make_function(
        "own",
        "Large",
        ["a"],
        ["b"],
        [
            node("Constant", "", "shape", value=numpy_helper.from_array(np.array([GIANT, GIANT, 1, 1]))),
            node("Expand", "a shape", "big"),
            node("ReduceSum", "big", "b", keepdims=0),
        ],
        [STANDARD],
    )
    return model([node("Large", "x", "sum", domain="own"), ADDED], {}, [whole])


def giant_for_longer_rows() -> bytes:
    # Of one row of length 1 it makes one element, of one of length 256 already 4 billion.
    chain = [
        node("Shape", "x", "s"),
        node("Mul", "s s", "t"),
        node("Mul", "t t", "shape"),
        node("ConstantOfShape", "shape", "big"),
    ]
    return model([*chain, WHOLE, ADDED], {})


def sized_by_values() -> bytes:
    shape = [
        node("ReduceMax", "x", "most", keepdims=1),
        node("Reshape", "most flat", "one"),
        node("Cast", "one", "n", to=INT64),
    ]
    return model([*shape, node("ConstantOfShape", "n", "big"), WHOLE, ADDED], {"flat": [1]})


def turns_by_values() -> bytes:
    count = [node("ReduceMax", "x", "most", keepdims=0), node("Cast", "most", "n", to=INT64)]
    return model([*count, node("Loop", "n - x", "y", body=turn([node("Abs", "state", "after")]))], {})


def sized_by_what_a_loop_carries() -> bytes:
    inner = turn([
        node("Cast", "state", "n", to=INT64),
        node("ConstantOfShape", "n", "big"),
        node("ReduceSum", "big", "sum", keepdims=0),
        node("Add", "state sum", "t"),
        node("ReduceMax", "x", "most", keepdims=0),
        node("Add", "t most", "after"),
    ])  # fmt: skip
    return model(
        [node("Loop", "count - zero", "sum", body=inner), ADDED], {"count": 3, "zero": np.array([0], np.float32)}
    )


def doubling() -> bytes:
    inner = turn([node("Concat", "state state", "after", axis=1)])
    return model([node("Loop", "count - x", "y", body=inner)], {"count": 40})


def collecting() -> bytes:
    inner = turn(
        [node("Identity", "state", "after"), node("Expand", "state shape", "row")], [value("after"), value("row")]
    )
    looped = node("Loop", "count - x", "end big", body=inner)
    return model([looped, WHOLE, ADDED], {"count": 100_000, "shape": [100, 1]})


def endless() -> bytes:
    return model([node("Loop", "- always x", "y", body=turn([node("Abs", "state", "after")]))], {"always": True})


def very_long() -> bytes:
    return model([node("Loop", "count - x", "y", body=turn([node("Abs", "state", "after")]))], {"count": 1 << 60})


def nested(depth: int, innermost: str, fed: str) -> list[Any]:
    """Loops within loops, each of `count` turns: what makes `t` of x."""

    def within(level: int) -> GraphProto:
        state, after = f"s{level}", f"a{level}"
        steps = [node("Identity", f"go{level}", f"on{level}")]
        if level:
            steps += [
                node("Loop", f"count - {fed.format(state=state)}", f"r{level}", body=within(level - 1)),
                node("Reshape", f"r{level} one", f"q{level}"),
                node("Add", f"{state} q{level}", after),
            ]
        else:
            steps.append(node("Add", innermost.format(state=state), after))
        return body(
            steps,
            [value(f"i{level}", INT64, []), value(f"go{level}", BOOL, []), value(state)],
            [value(f"on{level}", BOOL, []), value(after)],
        )

    return [node("Loop", f"count - {fed.format(state='zero')}", "t", body=within(depth - 1)), node("Add", "x t", "y")]


def turns_within_turns() -> bytes:
    return model(
        nested(3, "{state} {state}", "{state}"), {"count": 50_000, "zero": np.zeros(1, np.float32), "one": [1]}
    )


def turns_within_a_scan() -> bytes:
    inner = body(
        [
            node("Loop", "count - state", "r", body=turn([node("Add", "state state", "after")])),
            node("ReduceSum", "r", "q", keepdims=0),
            node("Add", "state q", "end"),
            node("Identity", "row", "out"),
        ],
        [value("state", FLOAT, []), value("row", FLOAT, [None])],
        [value("end", FLOAT, []), value("out", FLOAT, [None])],
    )
    scanned = node("Scan", "none many", "sum rows", body=inner, num_scan_inputs=1)
    constants = {"none": np.float32(0), "many": np.zeros((50_000, 1), np.float32), "count": 50_000}
    return model([scanned, ADDED], constants)


def many_by_calling() -> bytes:
    """Each function calls the one before it twice: 2^40 nodes."""
    functions = [helper.make_function("own", "F0", ["a"], ["b"], [node("Abs", "a", "b")], [STANDARD])]
    opsets = [STANDARD, helper.make_opsetid("own", 1)]
    for number in range(1, 41):
        calls = [node(f"F{number - 1}", "a", "m", domain="own"), node(f"F{number - 1}", "m", "b", domain="own")]
        functions.append(helper.make_function("own", f"F{number}", ["a"], ["b"], calls, opsets))
    return model([node("F40", "x", "y", domain="own")], {}, functions)


def calling_itself() -> bytes:
    opsets = [STANDARD, helper.make_opsetid("own", 1)]
    circle = helper.make_function("own", "F", ["a"], ["b"], [node("F", "a", "b", domain="own")], opsets)
    return model([node("F", "x", "y", domain="own")], {}, [circle])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (giant_in_a_branch, "Expand makes a tensor of 1,099,511,627,776 elements"),
        (giant_in_a_loop, "Expand makes a tensor of"),
        (giant_in_a_scan, "Expand makes a tensor of"),
        (giant_in_a_function, "Expand makes a tensor of"),
        (giant_for_longer_rows, "ConstantOfShape makes a tensor of"),
        (sized_by_values, "ConstantOfShape takes a size from the values"),
        (turns_by_values, "Loop takes a size from the values"),
        (sized_by_what_a_loop_carries, "ConstantOfShape takes a size from the values"),
        (doubling, "a loop may make its value 'after' larger with each turn"),
        (collecting, "a loop may collect too much in 'row'"),
        (endless, "a loop has no last turn"),
        (very_long, "turns, and 100,000 are taken"),
        (turns_within_turns, "turns, and 100,000 are taken"),
        (turns_within_a_scan, "turns, and 100,000 are taken"),
        (many_by_calling, "come to more than 200,000 nodes"),
        (calling_itself, "calls itself"),
    ],
)
def test_what_has_no_bound_is_refused(make: Any, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        check_onnx(make(), where="m.onnx")


def test_loops_in_loops_are_looked_through_in_little_time() -> None:
    # What of each level followed from a second look at the one below would take hours.
    loops = nested(24, "{state} sum", "zero")
    data = model(
        [node("ReduceSum", "x", "sum", keepdims=0), *loops], {"count": 1, "zero": np.zeros(1, np.float32), "one": [1]}
    )
    began = time.process_time()
    check_onnx(data, where="m.onnx")
    assert time.process_time() - began < 20


def test_weights_are_not_copied_for_each_body_that_reads_them() -> None:
    branches = []
    for place in range(100):
        told = [value(f"{one}{place}", FLOAT, ["rows", "length"]) for one in "tu"]
        yes = body([node("Gather", "weights zero", f"w{place}"), node("Add", f"x w{place}", f"t{place}")], [], told[:1])
        no = body([node("Neg", "x", f"u{place}")], [], told[1:])
        branches.append(node("If", "always", f"o{place}", then_branch=yes, else_branch=no))
    summed = node("Sum", " ".join(f"o{place}" for place in range(100)), "y")
    data = model([*branches, summed], {"always": True, "zero": 0, "weights": np.zeros((8_000, 1_000), np.float32)})
    began = time.process_time()
    check_onnx(data, where="m.onnx")
    assert time.process_time() - began < 3


def test_what_has_bounds_is_taken_and_runs() -> None:
    square = helper.make_function("own", "Square", ["a"], ["b"], [node("Mul", "a a", "b")], [STANDARD])
    branch = body([node("Abs", "x", "t")], [], [value("t", FLOAT, ["rows", "length"])])
    other = body([node("Neg", "x", "u")], [], [value("u", FLOAT, ["rows", "length"])])
    nodes = [
        node("If", "always", "chosen", then_branch=branch, else_branch=other),
        node("Shape", "x", "shape"),
        node("Gather", "shape first", "count"),
        node("Loop", "count - chosen", "looped", body=turn([node("Add", "state x", "after")])),
        node("Square", "looped", "squared", domain="own"),
        node("Expand", "squared shape", "y"),
    ]
    data = model(nodes, {"always": True, "first": 0}, [square])
    check_onnx(data, where="m.onnx")
    rows = np.array([[1.0, -2.0], [3.0, 4.0]], dtype=np.float32)
    found = open_session(data).run(None, {"x": rows})[0]
    assert np.array_equal(found, (np.abs(rows) + 2 * rows) ** 2)
