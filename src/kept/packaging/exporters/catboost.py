"""Boosters of CatBoost: its float32 borders as float64 thresholds, its symmetric trees as any others."""

from kept.packaging.exporters.catboost_booster import CatBoostModel
from kept.packaging.exporters.ensemble import Ensemble
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.links import apply_named_link


def export_catboost(model: CatBoostModel, graph: Graph, features: Tensor) -> str:
    """Answers of a booster."""
    ensemble = Ensemble()
    for tree, target in model.trees:
        ensemble.add(tree, target)
    raw = ensemble.write(graph, features, model.targets)
    if model.scale != 1:
        raw = graph.node("Mul", raw, graph.constant(model.scale))
    raw = graph.node("Add", raw, graph.constant(model.bias))
    return apply_named_link(model.link, graph, raw)
