"""The loss of each row. Their means are metrics; those within [0, 1] feed the label detector."""

from typing import Literal

import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Array, Floats

RowLoss = Literal["zero_one", "brier", "log_loss", "squared_error", "absolute_error", "bounded_error"]

_EPS = float(np.finfo(np.float64).eps)


def row_loss(loss: RowLoss, labels: Array, scores: Floats, *, scale: float | None = None) -> Floats:
    """One loss a row, shape `(n,)`.

    Scores are probabilities of class 1, shape `(n,)`, or `(n, k)` with class indices as labels, or predictions
    of a number. Within [0, 1] are `zero_one` (the likeliest class is wrong; a probability of 0.5 says 1), `brier`
    (squared error of the probability; with k classes half the sum of squares) and `bounded_error`
    (`min(|error| / scale, 1)`, where `scale` is the error that is as bad as any). `log_loss` clips
    probabilities at 2.2e-16, as scikit-learn does.
    """
    match loss:
        case "zero_one":
            return np.asarray(labels != likeliest(scores), dtype=np.float64)
        case "brier":
            return squared_probability_error(labels, scores) / (2.0 if scores.ndim == 2 else 1.0)
        case "log_loss":
            return log_losses(labels, scores)
        case "squared_error":
            return (labels - scores) ** 2
        case "absolute_error":
            return np.abs(labels - scores)
        case "bounded_error":
            if scale is None or not scale > 0:
                raise Invalid("bounded_error needs a scale above 0", where="row_loss", fix="Pass scale=")
            return np.minimum(np.abs(labels - scores) / scale, 1.0)


def likeliest(scores: Floats, *, threshold: float = 0.5) -> Array:
    """The predicted class of each row: at or above the threshold, or the class of the largest probability."""
    return scores.argmax(axis=1) if scores.ndim == 2 else (scores >= threshold).astype(np.int64)


def log_losses(labels: Array, scores: Floats) -> Floats:
    """Minus the logarithm of the probability given to what happened."""
    if scores.ndim == 2:
        given = scores[np.arange(labels.size), labels.astype(np.intp)]
    else:
        given = np.where(labels == 1, scores, 1.0 - scores)
    return -np.log(np.clip(given, _EPS, 1.0 - _EPS))


def squared_probability_error(labels: Array, scores: Floats) -> Floats:
    """The squared error of the probability of class 1; with k classes the sum over all of them (0 to 2)."""
    if scores.ndim == 2:
        happened = labels[:, None] == np.arange(scores.shape[1])
        return np.asarray(((scores - happened) ** 2).sum(axis=1))
    return np.asarray((scores - labels) ** 2)


def percentage_errors(labels: Array, scores: Floats) -> Floats:
    """|error| / |label|, the label no nearer to 0 than 2.2e-16, as scikit-learn does."""
    return np.asarray(np.abs(labels - scores) / np.maximum(np.abs(labels), _EPS))
