"""SplineTransformer: the basis of B-splines as polynomials between the knots."""

from math import factorial
from typing import Any

import numpy as np
from onnx import TensorProto

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Origin, Tensor
from kept.packaging.exporters.selecting import join, select

# Ways beyond the knots for which scikit-learn evaluates all values at once.
_WHOLE = {"continue", "periodic"}


def export_splines(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """SplineTransformer: for each column the values of its splines, by Taylor's formula at the knot below each value.

    Raises:
        Invalid: it refuses values beyond its knots, or continues splines of too low a degree, or a column has one value; or what
            is missing has no answer of its own.
    """
    if step.extrapolation == "error":
        raise Invalid("its splines refuse values beyond the knots, so give it another extrapolation")
    # scikit-learn itself answers otherwise from column to column there, or not at all.
    if step.degree < (2 if step.extrapolation == "linear" and features.width > 1 else 1):
        raise Invalid(f"splines of degree {step.degree} have no continuation that holds for each column")
    if step.sparse_output and step.handle_missing == "zeros" and step.extrapolation in _WHOLE and features.width > 1:
        # Behind the first column scikit-learn takes the least value of the rows that are asked together instead of zeros.
        raise Invalid("its sparse splines answer what is missing by the other rows, so give it sparse_output=False")
    return join(graph, [_column(step, place, graph, features) for place in range(features.width)])


def _column(step: Any, place: int, graph: Graph, features: Tensor) -> Tensor:
    spline, column = step.bsplines_[place], select(graph, features, np.array([place]))
    degree = int(spline.k)
    knots = np.unique(spline.t[degree : len(spline.t) - degree])
    if len(knots) < 2:
        raise Invalid("a column of its splines has a single value")
    graph.note_splits(column.origin, np.zeros(len(knots), dtype=np.int64), knots)
    kept = slice(None) if step.include_bias else slice(-1)
    ways = {"constant": _held, "linear": _held, "periodic": _turned}
    value = ways[step.extrapolation](graph, column.name, knots) if step.extrapolation in ways else column.name
    # The number of the last knot that is not above the value, and how far above that one it is.
    above = graph.node("GreaterOrEqual", value, graph.constant(knots[1:-1].reshape(1, -1)))
    below = graph.node(
        "ReduceSum", graph.node("Cast", above, to=TensorProto.INT64), graph.constant([1], np.int64), keepdims=0
    )
    low = graph.node(
        "Unsqueeze", graph.node("Gather", graph.constant(knots[:-1]), below), graph.constant([1], np.int64)
    )
    beyond = graph.node("Sub", value, low)
    name = ""
    for order in range(degree, -1, -1):
        taylor = graph.constant(spline(knots[:-1], nu=order)[:, kept] / factorial(order))
        term = graph.node("Gather", taylor, below)
        name = graph.node("Add", graph.node("Mul", name, beyond), term) if name else term
    if step.extrapolation == "linear":
        first, last = (graph.constant(spline(edge, nu=1)[None, kept]) for edge in (knots[0], knots[-1]))
        slope = graph.node("Where", graph.node("Less", column.name, graph.constant(knots[0])), first, last)
        name = graph.node("Add", name, graph.node("Mul", graph.node("Sub", column.name, value), slope))
    if step.handle_missing == "zeros":
        name = graph.node("Where", graph.node("IsNaN", column.name), graph.constant(0.0), name)
    width = spline.c[:, kept].shape[1]
    return Tensor(name=name, origin=Origin.other(np.repeat(column.origin.inputs, width)))


def _held(graph: Graph, name: str, knots: Any) -> str:
    """The values, those beyond the knots as the outermost knot."""
    low, high = graph.constant(knots[0]), graph.constant(knots[-1])
    # Clip would turn NaN into an edge on some machines; a comparison with NaN is false on all of them.
    name = graph.node("Where", graph.node("Less", name, low), low, name)
    return graph.node("Where", graph.node("Greater", name, high), high, name)


def _turned(graph: Graph, name: str, knots: Any) -> str:
    """The values, each as what it is in the first period."""
    low, period = graph.constant(knots[0]), graph.constant(knots[-1] - knots[0])
    rest = graph.node("Mod", graph.node("Sub", name, low), period, fmod=1)
    rest = graph.node("Where", graph.node("Less", rest, graph.constant(0.0)), graph.node("Add", rest, period), rest)
    return graph.node("Add", low, rest)
