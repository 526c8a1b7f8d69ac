"""Boosters of CatBoost: its float32 borders as float64 thresholds, its symmetric trees as any others."""

from kept.packaging.exporters.catboost_booster import CatBoostModel
from kept.packaging.exporters.ensemble import Ensemble
from kept.packaging.exporters.graph import Graph, Tensor


def export_catboost(model: CatBoostModel, graph: Graph, features: Tensor) -> str:
    """Answers of a booster."""
    ensemble = Ensemble()
    for tree, target in model.trees:
        ensemble.add(tree, target)
    raw = ensemble.write(graph, features, model.targets)
    if model.scale != 1:
        raw = graph.node("Mul", raw, graph.constant(model.scale))
    raw = graph.node("Add", raw, graph.constant(model.bias))
    if model.link == "sigmoid":
        return graph.node("Sigmoid", raw)
    if model.link == "softmax":
        return graph.node("Softmax", raw, axis=1)
    return graph.node("Exp", raw) if model.link == "exp" else raw
