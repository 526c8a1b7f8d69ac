"""Boosters of XGBoost: its float32 comparisons as float64 thresholds, its leaves added up in float64."""

from kept.packaging.exporters.ensemble import Ensemble
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.links import apply_named_link
from kept.packaging.exporters.xgboost_booster import XgBoostModel


def export_xgboost(model: XgBoostModel, graph: Graph, features: Tensor) -> str:
    """Answers of a booster."""
    ensemble = Ensemble()
    for target, value in enumerate(model.base):
        ensemble.add_constant(float(value), target)
    for tree, target in model.trees:
        ensemble.add(tree, target)
    raw = ensemble.write(graph, features, model.targets)
    return apply_named_link(model.link, graph, raw)
