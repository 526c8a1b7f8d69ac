"""Predictions of scikit-learn style estimators, in the one form that Kept uses."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.signature import Label, Signature

Answers = NDArray[np.float64]


def answering(estimator: Any, signature: Signature, own_classes: tuple[Label, ...] = ()) -> Callable[[Any], Answers]:
    """A function from the estimator's input to its answers.

    binary: (rows,) the probability of `classes[1]`; multiclass: (rows, classes); regression: (rows,). `own_classes` are the estimator's names
    of the signature's classes, in the signature's order, where they are others.

    Raises:
        Invalid: the estimator does not answer what the signature says.
    """
    name = type(estimator).__name__
    if signature.task == "regression":
        if not hasattr(estimator, "predict"):
            raise Invalid("it has no predict", where=name, fix="Give a fitted regressor")
        return lambda features: np.asarray(estimator.predict(features), dtype=np.float64).reshape(len(features))
    if not hasattr(estimator, "predict_proba"):
        raise Invalid(
            "it gives no probabilities",
            where=name,
            fix="Wrap it in sklearn.calibration.CalibratedClassifierCV, or switch its probabilities on",
        )
    order = class_order(estimator, signature, own_classes)
    if signature.task == "binary":
        return lambda features: np.ascontiguousarray(estimator.predict_proba(features)[:, order[1]], dtype=np.float64)
    if order == sorted(order):
        return lambda features: np.ascontiguousarray(estimator.predict_proba(features), dtype=np.float64)
    return lambda features: np.ascontiguousarray(estimator.predict_proba(features)[:, order], dtype=np.float64)


def class_order(estimator: Any, signature: Signature, own_classes: tuple[Label, ...]) -> list[int]:
    """The place that each class of the signature has in the answers of the estimator.

    Raises:
        Invalid: the estimator knows other classes.
    """
    found = tuple(np.asarray(estimator.classes_).tolist())
    if len(found) == len(own_classes) and set(found) == set(own_classes):
        return [found.index(label) for label in own_classes]
    if own_classes or found != signature.classes:
        raise Invalid(
            f"it knows the classes {found}, the signature says {own_classes or signature.classes}",
            where=type(estimator).__name__,
            fix="Train it on the labels as the data name them, in this order",
        )
    return list(range(len(found)))
