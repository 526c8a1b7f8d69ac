"""Scalers: the same operations, in the same order, as scikit-learn takes them."""

from typing import Any

import numpy as np

from kept.packaging.exporters.graph import Graph, Tensor


def export_standard_scaler(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """StandardScaler: minus the mean, over the deviation."""
    name, origin = features.name, features.origin
    if step.with_mean:
        name, origin = graph.node("Sub", name, graph.constant(step.mean_)), origin.scaled(1.0, -step.mean_)
    if step.with_std:
        name, origin = graph.node("Div", name, graph.constant(step.scale_)), origin.scaled(1 / step.scale_, 0.0)
    return Tensor(name=name, origin=origin)


def export_robust_scaler(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """RobustScaler: minus the median, over the range of the middle."""
    name, origin = features.name, features.origin
    if step.with_centering:
        name, origin = graph.node("Sub", name, graph.constant(step.center_)), origin.scaled(1.0, -step.center_)
    if step.with_scaling:
        name, origin = graph.node("Div", name, graph.constant(step.scale_)), origin.scaled(1 / step.scale_, 0.0)
    return Tensor(name=name, origin=origin)


def export_min_max_scaler(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """MinMaxScaler: times the scale, plus the minimum, clipped where asked for."""
    product = graph.node("Mul", features.name, graph.constant(step.scale_))
    name = graph.node("Add", product, graph.constant(step.min_))
    if step.clip:
        low, high = (graph.constant(np.float64(edge)) for edge in step.feature_range)
        # Clip would turn NaN into an edge on some machines; a comparison with NaN is false on all of them.
        name = graph.node("Where", graph.node("Less", name, low), low, name)
        name = graph.node("Where", graph.node("Greater", name, high), high, name)
    return Tensor(name=name, origin=features.origin.scaled(step.scale_, step.min_))


def export_max_abs_scaler(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """MaxAbsScaler: over the largest absolute value, clipped where asked for."""
    name = graph.node("Div", features.name, graph.constant(step.scale_))
    if getattr(step, "clip", False):
        low, high = graph.constant(-1.0), graph.constant(1.0)
        name = graph.node("Where", graph.node("Less", name, low), low, name)
        name = graph.node("Where", graph.node("Greater", name, high), high, name)
    return Tensor(name=name, origin=features.origin.scaled(1 / step.scale_, 0.0))
