"""Linear models: a product and what follows from it."""

from typing import Any

import numpy as np

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Tensor


def export_linear_regression(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of a linear model: a weighted sum of the features."""
    weights = np.atleast_2d(model.coef_)
    if len(weights) != 1:
        raise Invalid(f"it answers {len(weights)} targets")
    return _scores(model, graph, features)


def export_logistic_regression(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of logistic regression: the logistic function of one score, or the softmax of several."""
    scores = _scores(model, graph, features)
    if len(model.classes_) == 2:
        return graph.node("Sigmoid", scores)
    if model.solver == "liblinear":
        raise Invalid("with the solver liblinear its probabilities are one against the rest")
    return graph.node("Softmax", scores, axis=1)


def _scores(model: Any, graph: Graph, features: Tensor) -> str:
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    graph.note_parts(features.origin)
    product = graph.node("MatMul", features.name, graph.constant(weights.T))
    return graph.node("Add", product, graph.constant(np.ravel(model.intercept_)))
