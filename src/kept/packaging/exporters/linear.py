"""Linear models: a product and what follows from it."""

from typing import Any

import numpy as np

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.links import apply_link


def export_linear_regression(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of a linear model: a weighted sum of the features."""
    weights = np.atleast_2d(model.coef_)
    if len(weights) != 1:
        raise Invalid(f"it answers {len(weights)} targets")
    return linear_scores(model, graph, features)


def export_logistic_regression(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of logistic regression: the logistic function of one score, or the softmax of several."""
    scores = linear_scores(model, graph, features)
    if len(model.classes_) == 2:
        return graph.node("Sigmoid", scores)
    if model.solver == "liblinear":
        raise Invalid("with the solver liblinear its probabilities are one against the rest")
    return graph.node("Softmax", scores, axis=1)


def export_log_linear_regression(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of a generalised linear model, by the inverse of its link function."""
    return apply_link(model._base_loss.link, graph, linear_scores(model, graph, features))  # noqa: SLF001 - no public face


def export_linear_discriminant(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of LinearDiscriminantAnalysis: the logistic function of one score, or the softmax of several."""
    scores = linear_scores(model, graph, features)
    return graph.node("Sigmoid", scores) if len(model.classes_) == 2 else graph.node("Softmax", scores, axis=1)


def export_sgd_classifier(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of SGDClassifier with the logistic loss: one class against the rest, made to add up to 1."""
    if model.loss != "log_loss":
        raise Invalid(f"its probabilities follow from the loss {model.loss!r}")
    chances = graph.node("Sigmoid", linear_scores(model, graph, features))
    if len(model.classes_) == 2:
        return chances
    graph.note_no_parts()
    return normalised(graph, chances, len(model.classes_))


def normalised(graph: Graph, chances: str, classes: int) -> str:
    """Chances of one class against the rest, made to add up to 1; equal ones where all of them are 0."""
    total = graph.node("ReduceSum", chances, graph.constant([1], np.int64))
    none = graph.node("Equal", total, graph.constant(0.0))
    return graph.node("Where", none, graph.constant(1.0 / classes), graph.node("Div", chances, total))


def linear_scores(model: Any, graph: Graph, features: Tensor) -> str:
    """The weighted sums of a linear model: one for a value or two classes, else one for each class."""
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    graph.note_parts(features.origin)
    product = graph.node("MatMul", features.name, graph.constant(weights.T))
    return graph.node("Add", product, graph.constant(np.ravel(model.intercept_)))
