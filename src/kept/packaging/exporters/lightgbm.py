"""Boosters of LightGBM: float64 thresholds, leaves and sums, and a side for what is missing at each node."""

from kept.packaging.exporters.ensemble import Ensemble
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.lightgbm_booster import LightGbmModel
from kept.packaging.exporters.links import apply_named_link


def export_lightgbm(model: LightGbmModel, graph: Graph, features: Tensor) -> str:
    """Answers of a booster."""
    ensemble = Ensemble()
    for number, tree in enumerate(model.trees):
        ensemble.add(tree, number % model.per_iteration)
    raw = ensemble.write(graph, features, model.per_iteration)
    if model.objective.link == "sigmoid":
        raw = graph.node("Mul", raw, graph.constant(model.objective.scale))
    return apply_named_link(model.objective.link, graph, raw)
