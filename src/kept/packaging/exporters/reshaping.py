"""Transformers that make other columns of the columns: products, projections, bins, functions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Origin, Tensor
from kept.packaging.exporters.selecting import join, select

Transform = Callable[[Any, Graph, Tensor], Tensor]


def export_selection(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """SelectKBest, VarianceThreshold and all others that keep some of the columns."""
    return select(graph, features, np.flatnonzero(step.get_support()))


def export_union(step: Any, graph: Graph, features: Tensor, transform: Transform) -> Tensor:
    """FeatureUnion: what its transformers make of the same columns, side by side."""
    if step.transformer_weights:
        raise Invalid("its columns are weighted")
    kept = [one for _, one in step.transformer_list if not (isinstance(one, str) and one == "drop")]
    return join(graph, [features if isinstance(one, str) else transform(one, graph, features) for one in kept])


def export_polynomials(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """PolynomialFeatures: products of the columns, factor by factor."""
    factors = [[place for place, power in enumerate(row) for _ in range(power)] for row in step.powers_.tolist()]
    # A column of ones stands for the factors that a product does not have; missing values are refused before.
    ones = graph.node("Pad", features.name, graph.constant([0, 0, 0, 1], np.int64), graph.constant(1.0))
    name = ""
    for turn in range(max(1, *map(len, factors))):
        places = [row[turn] if turn < len(row) else features.width for row in factors]
        factor = graph.node("Gather", ones, graph.constant(places, np.int64), axis=1)
        name = graph.node("Mul", name, factor) if name else factor
    inputs = [{int(features.origin.inputs[place]) for place in row} for row in factors]
    made_of = np.array([one.pop() if len(one) == 1 else -1 for one in inputs], dtype=np.int64)
    return Tensor(name=name, origin=Origin.other(made_of))


def export_pca(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """PCA: the projection, less that of the mean; over the deviation where it is whitened."""
    name = graph.node("MatMul", features.name, graph.constant(step.components_.T))
    if step.mean_ is not None:
        name = graph.node("Sub", name, graph.constant(step.mean_.reshape(1, -1) @ step.components_.T))
    if step.whiten:
        scale = np.maximum(np.sqrt(step.explained_variance_), np.finfo(np.float64).eps)
        name = graph.node("Div", name, graph.constant(scale))
    return Tensor(name=name, origin=Origin.other(np.full(len(step.components_), -1)))


def export_bins(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """KBinsDiscretizer: the number of the bin, or a column of 0 and 1 for each."""
    parts = []
    for place, edges in enumerate(step.bin_edges_):
        column = select(graph, features, np.array([place]))
        inner = np.asarray(edges[1:-1], dtype=np.float64)
        if not len(inner):
            raise Invalid("one of its columns has a single bin")
        graph.note_splits(column.origin, np.zeros(len(inner), dtype=np.int64), inner)
        above = graph.node(
            "Cast", graph.node("GreaterOrEqual", column.name, graph.constant(inner)), to=TensorProto.DOUBLE
        )
        if step.encode == "ordinal":
            name, width = graph.node("ReduceSum", above, graph.constant([1], np.int64)), 1
        else:
            # Above this edge and not above the next.
            low = graph.node("Pad", above, graph.constant([0, 1, 0, 0], np.int64), graph.constant(1.0))
            high = graph.node("Pad", above, graph.constant([0, 0, 0, 1], np.int64), graph.constant(0.0))
            name, width = graph.node("Sub", low, high), len(inner) + 1
        parts.append(Tensor(name=name, origin=Origin.other(np.repeat(column.origin.inputs, width))))
    return join(graph, parts)


def export_function(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """FunctionTransformer of one of NumPy's functions."""
    if step.kw_args:
        raise Invalid("its function is given arguments")
    name = features.name if step.func is None else apply_function(step.func, graph, features.name)
    return Tensor(name=name, origin=features.origin if step.func is None else Origin.other(features.origin.inputs))


def apply_function(function: Any, graph: Graph, name: str) -> str:
    """One of NumPy's functions of each value. `Invalid` for any other function."""
    known = next((kind for one, kind in _FUNCTIONS.items() if one is function), None)
    if known is not None:
        return graph.node(known, name)
    if function is np.log1p:
        return graph.node("Log", graph.node("Add", name, graph.constant(1.0)))
    if function is np.expm1:
        return graph.node("Sub", graph.node("Exp", name), graph.constant(1.0))
    if function is np.square:
        return graph.node("Mul", name, name)
    raise Invalid(f"there is no exact exporter for the function {getattr(function, '__name__', function)!r}")


_FUNCTIONS = {np.log: "Log", np.exp: "Exp", np.sqrt: "Sqrt", np.abs: "Abs", np.negative: "Neg"}
