"""Estimators made of estimators: votes, stacks and bags. Each part is exported by itself, trees as exactly as alone."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Origin, Tensor
from kept.packaging.exporters.selecting import join, select

Predict = Callable[[Any, Graph, Tensor], str]
"""Answers of an estimator: shape [rows, 1] for a value or the second of two classes, [rows, classes] for more."""


def export_voting(model: Any, graph: Graph, features: Tensor, predict: Predict) -> str:
    """VotingClassifier with soft votes, VotingRegressor: the weighted mean of the parts."""
    if hasattr(model, "classes_") and model.voting != "soft":
        raise Invalid("its votes are hard, and give no probabilities")
    classes = len(getattr(model, "classes_", ()))
    if any(classes != len(getattr(one, "classes_", ())) for one in model.estimators_):
        raise Invalid("one of its parts knows other classes")
    weights = model._weights_not_none  # noqa: SLF001 - without those of the parts that were dropped
    shares = np.ones(len(model.estimators_)) if weights is None else np.asarray(weights, dtype=np.float64)
    parts = [predict(one, graph, features) for one in model.estimators_]
    graph.note_no_parts()
    weighted = [graph.node("Mul", part, graph.constant(share)) for part, share in zip(parts, shares, strict=True)]
    return graph.node("Div", graph.sum(weighted), graph.constant(shares.sum()))


def export_bagging(model: Any, graph: Graph, features: Tensor, predict: Predict) -> str:
    """BaggingClassifier and BaggingRegressor: the mean of the parts, each of which takes columns of its own."""
    parts = []
    for estimator, places in zip(model.estimators_, model.estimators_features_, strict=True):
        if hasattr(model, "classes_") and not (
            hasattr(estimator, "predict_proba") and len(estimator.classes_) == len(model.classes_)
        ):
            raise Invalid("some of its parts do not give a probability for each class")
        parts.append(predict(estimator, graph, select(graph, features, np.asarray(places, dtype=np.int64))))
    graph.note_no_parts()
    return graph.node("Div", graph.sum(parts), graph.constant(float(len(parts))))


def export_stacking(model: Any, graph: Graph, features: Tensor, predict: Predict) -> str:
    """StackingClassifier and StackingRegressor: the last estimator is given the answers of the others."""
    classifies = hasattr(model, "classes_")
    parts = []
    for estimator, method in zip(model.estimators_, model.stack_method_, strict=True):
        if method != ("predict_proba" if classifies else "predict"):
            raise Invalid(f"one of its parts is asked by {method}")
        width = len(model.classes_) if classifies and len(model.classes_) > 2 else 1
        if classifies and len(estimator.classes_) != len(model.classes_):
            raise Invalid("one of its parts knows other classes")
        answers = predict(estimator, graph, features)
        parts.append(Tensor(name=answers, origin=Origin.other(np.full(width, -1))))
    answered = join(graph, [*parts, features] if model.passthrough else parts)
    return predict(model.final_estimator_, graph, answered)
