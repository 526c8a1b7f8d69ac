"""Boosters of LightGBM: float64 thresholds, leaves and sums, and a side for what is missing at each node."""

from kept.packaging.exporters.ensemble import Ensemble
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.lightgbm_booster import LightGbmModel


def export_lightgbm(model: LightGbmModel, graph: Graph, features: Tensor) -> str:
    """Answers of a booster."""
    ensemble = Ensemble()
    for number, tree in enumerate(model.trees):
        ensemble.add(tree, number % model.per_iteration)
    raw = ensemble.write(graph, features, model.per_iteration)
    link = model.objective.link
    if link == "sigmoid":
        return graph.node("Sigmoid", graph.node("Mul", raw, graph.constant(model.objective.scale)))
    if link == "softmax":
        return graph.node("Softmax", raw, axis=1)
    return graph.node("Exp", raw) if link == "exp" else raw
