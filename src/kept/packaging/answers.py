"""What a scikit-learn style estimator answers, in the one form that Kept uses."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.signature import Signature

Answers = NDArray[np.float64]


def answering(estimator: Any, signature: Signature) -> Callable[[Any], Answers]:
    """A function from the estimator's input to its answers.

    binary: (rows,) the probability of `classes[1]`; multiclass: (rows, classes); regression: (rows,).

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
    found = tuple(np.asarray(estimator.classes_).tolist())
    if found != signature.classes:
        raise Invalid(
            f"it knows the classes {found}, the signature says {signature.classes}",
            where=name,
            fix="Train it on the labels as the data name them, in this order",
        )
    if signature.task == "binary":
        return lambda features: np.ascontiguousarray(estimator.predict_proba(features)[:, 1], dtype=np.float64)
    return lambda features: np.ascontiguousarray(estimator.predict_proba(features), dtype=np.float64)
