"""Upper bounds on what a foreign ONNX graph may allocate and how long it may run; beyond them it is refused.

Sizes are told by ONNX's shape inference, as far as that gets, of one row with open lengths of 1 and of 256; in the bodies of
If, Loop and Scan and in the model's own functions, too. What it cannot tell is not taken where nothing else sets a bound:
sizes that come from the values of a request, loops without a last turn, and values that a loop may make larger each turn.
"""

import math
from collections.abc import Iterator, Mapping

import onnx
import onnx.inliner
from onnx import GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto, helper

from kept.core.errors import Invalid

_MOST_ELEMENTS = 1 << 28
_MOST_NODES = 200_000
_DEEPEST_CALL = 50
_MOST_TURNS = 100_000
_OPEN_LENGTH = 256
# Weights, which are no sizes and no counts: of more elements in more than one row the shape is enough.
_MOST_KNOWN = 1_000
# The inputs of operators that say how large the result is, or how often a body runs.
_SIZE_INPUTS = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "DFT": (1,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "Loop": (0,),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "STFT": (1, 3),
    "Tile": (1,),
    "Upsample": (1,),
}
# What they answer depends on how large something is, and not on the values in it.
_OF_SHAPES = {"Shape", "Size"}


def check_calls(model: ModelProto, *, where: str) -> None:
    """Refuses functions that call functions so often that a few lines stand for more nodes than are read, or themselves."""
    functions = {(one.domain, one.name): one for one in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Iterator[NodeProto], calling: frozenset[tuple[str, str]]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in calling or len(calling) > _DEEPEST_CALL:
                raise Invalid(f"its function {node.op_type} calls itself, or others too deep", where=where)
            if key in functions and key not in sizes:
                sizes[key] = size(iter(functions[key].node), calling | {key})
            total += sizes.get(key, 1) + sum(size(iter(body.node), calling) for body in bodies_of(node))
            if total > _MOST_NODES:
                raise Invalid(f"its functions come to more than {_MOST_NODES:,} nodes", where=where)
        return total

    size(iter(model.graph.node), frozenset())


def check_sizes(model: ModelProto, *, where: str) -> None:
    """Refuses with `Invalid` what makes giant tensors, or may, or goes on without end.

    Args:
        model: valid by ONNX's own checker, its calls checked.
        where: what it is of, for messages.
    """
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    valued, known = {one.name for one in model.graph.input}, 0
    while len(valued) > known:
        # What one turn of a loop answers, the next is given.
        known = len(valued)
        _check_origins(model.graph, valued, where)
    # What fits one of these lengths only is told of that one; the other is then left at what fits.
    for length in (1, _OPEN_LENGTH):
        _check_graph(_fixed(model, length), {}, 1, where)


def bodies_of(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs within a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _check_origins(graph: GraphProto, valued: set[str], where: str) -> None:
    """Refuses sizes and turns that are made of values that come with a request. `valued` gains the names of such values.

    What it gains may be looked at too late within loops: to be called until it gains nothing.
    """
    for node in graph.node:
        inputs = {name for name in node.input if name}
        for place in _SIZE_INPUTS.get(node.op_type, ()):
            if place < len(node.input) and node.input[place] in valued:
                what = f"its operator {node.op_type} takes a size from the values of a request"
                raise Invalid(what, where=where, fix="Export it with sizes that follow from the shapes of its inputs")
        depends = bool(inputs & valued)
        for body in bodies_of(node):
            names = {one.name for one in body.input}
            if depends:
                valued |= names
            _check_origins(body, valued, where)
            if any(one.name in valued for one in body.output):
                depends = True
                valued |= names
        if depends and node.op_type not in _OF_SHAPES:
            valued |= set(node.output)


def _fixed(model: ModelProto, length: int) -> ModelProto:
    """The model for one row, with this length for all that it leaves open."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in fixed.graph.input:
        for place, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_value <= 0:
                dimension.dim_value = length if place else 1
    # Shapes that were written down for open lengths would stand against those that are inferred now.
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    return fixed


def _check_graph(
    model: ModelProto, constants: Mapping[str, onnx.TensorProto], runs: int, where: str
) -> dict[str, TypeProto]:
    """Refuses a graph of known inputs that makes giant tensors. The types of all its values, as far as they are known.

    Args:
        model: the graph.
        constants: what it may take from outside, if it is small.
        runs: how often it is run for one request.
        where: what it is of, for messages.
    """
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    types = {one.name: one.type for one in (*inferred.input, *inferred.value_info, *inferred.output)}
    types |= {one.name: helper.make_tensor_type_proto(one.data_type, one.dims) for one in inferred.initializer}
    known = {**constants, **{one.name: one for one in inferred.initializer if _may_be_size(one)}}
    for node in inferred.node:
        if (
            node.op_type == "Constant"
            and node.attribute
            and node.attribute[0].HasField("t")
            and _may_be_size(node.attribute[0].t)
        ):
            constant = onnx.TensorProto()
            constant.CopyFrom(node.attribute[0].t)
            constant.name = node.output[0]
            known[constant.name] = constant
        largest = max((_elements(types[name]) for name in node.output if name in types), default=0)
        turns = _turns(node, types, known)
        # One that goes through what is there, and stands in no other, ends by itself.
        ends = turns <= 1 or (node.op_type == "Scan" and runs == 1)
        if turns * runs > _MOST_TURNS and not ends:
            raise Invalid(f"its loops have {turns * runs:,} turns, and {_MOST_TURNS:,} are taken", where=where)
        if largest > _MOST_ELEMENTS:
            raise Invalid(f"its operator {node.op_type} makes a tensor of {largest:,} elements", where=where)
        for body in bodies_of(node):
            inner = _check_graph(_typed(body, node, types, known, model), known, turns * runs, where)
            if node.op_type == "Loop":
                if not node.input[0]:
                    raise Invalid("a loop has no last turn", where=where, fix="Export it with a trip count")
                _check_turns(node, body, types, inner, turns, where)
    return types


def _typed(
    body: GraphProto,
    node: NodeProto,
    types: Mapping[str, TypeProto],
    known: Mapping[str, onnx.TensorProto],
    model: ModelProto,
) -> ModelProto:
    """A body as a model of its own, which is given what it would be given within the node, in its first turn."""
    given: dict[str, TypeProto] = {}
    if node.op_type == "Loop":
        given = {body.input[0].name: helper.make_tensor_type_proto(onnx.TensorProto.INT64, [])}
        given[body.input[1].name] = helper.make_tensor_type_proto(onnx.TensorProto.BOOL, [])
    fed = list(node.input)
    sliced = next((one.i for one in node.attribute if one.name == "num_scan_inputs"), 0)
    axes = next((list(one.ints) for one in node.attribute if one.name == "scan_input_axes"), [0] * sliced)
    skipped = 2 if node.op_type == "Loop" else 0
    for place, value in enumerate(body.input[skipped:], skipped):
        outer = types.get(fed[place]) if place < len(fed) else None
        turn = place - (len(fed) - sliced)
        given[value.name] = value.type if outer is None else _slice(outer, axes[turn]) if turn >= 0 else outer
    captured = _captured(body) - set(given) - {one.name for one in body.initializer}
    constants = [one for name, one in known.items() if name in captured]
    outside = {name: kind for name, kind in types.items() if name in captured and name not in known}
    inputs = [_value(name, kind) for name, kind in {**given, **outside}.items()]
    outputs = [ValueInfoProto(name=one.name) for one in body.output]
    graph = helper.make_graph(body.node, "body", inputs, outputs, [*body.initializer, *constants])
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _check_turns(
    node: NodeProto,
    body: GraphProto,
    outside: Mapping[str, TypeProto],
    inside: Mapping[str, TypeProto],
    turns: int,
    where: str,
) -> None:
    """Refuses a loop whose values may grow: what is of one shape before and after the first turn is so after all of them."""
    carried = len(node.input) - 2
    for fed, answered in zip(node.input[2:], body.output[1 : 1 + carried], strict=True):
        before, after = _shape(outside.get(fed)), _shape(inside.get(answered.name))
        if before is None or before != after:
            what = f"a loop may make its value {answered.name!r} larger with each turn"
            raise Invalid(what, where=where, fix="Export it with a loop whose values keep their shapes")
    for collected in body.output[1 + carried :]:
        kind = inside.get(collected.name)
        if kind is None or _shape(kind) is None or _elements(kind) * turns > _MOST_ELEMENTS:
            raise Invalid(f"a loop may collect too much in {collected.name!r}", where=where)


def _turns(node: NodeProto, types: Mapping[str, TypeProto], known: Mapping[str, onnx.TensorProto]) -> int:
    """How often a node's bodies run at most; where that follows from shapes, what open lengths are taken for."""
    if node.op_type == "Loop":
        count = known.get(node.input[0])
        return _OPEN_LENGTH if count is None else int(onnx.numpy_helper.to_array(count).reshape(-1)[0])
    if node.op_type == "Scan":
        sliced = next(one.i for one in node.attribute if one.name == "num_scan_inputs")
        axes = next((list(one.ints) for one in node.attribute if one.name == "scan_input_axes"), [0] * sliced)
        lengths = _shape(types.get(node.input[-sliced]))
        return _OPEN_LENGTH if not lengths else lengths[axes[0]]
    return 1


def _captured(body: GraphProto) -> set[str]:
    """All names that are used in a body, and in those within."""
    found = {one.name for one in body.output}
    for node in body.node:
        found |= set(node.input)
        for inner in bodies_of(node):
            found |= _captured(inner)
    return found


def _shape(kind: TypeProto | None) -> list[int] | None:
    """The lengths of a tensor, None where one is not known."""
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    lengths = [one.dim_value if one.HasField("dim_value") else -1 for one in kind.tensor_type.shape.dim]
    return None if -1 in lengths else lengths


def _elements(kind: TypeProto) -> int:
    count = 1
    for dimension in kind.tensor_type.shape.dim:
        count *= max(dimension.dim_value, 1)
    return count


def _may_be_size(tensor: onnx.TensorProto) -> bool:
    return len(tensor.dims) < 2 or math.prod(tensor.dims) <= _MOST_KNOWN


def _slice(kind: TypeProto, axis: int) -> TypeProto:
    """The type of one turn's part of a tensor that Scan goes through."""
    part = TypeProto()
    part.CopyFrom(kind)
    if part.tensor_type.HasField("shape") and part.tensor_type.shape.dim:
        del part.tensor_type.shape.dim[axis]
    return part


def _value(name: str, kind: TypeProto) -> ValueInfoProto:
    value = ValueInfoProto(name=name)
    value.type.CopyFrom(kind)
    return value
