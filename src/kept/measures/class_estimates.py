"""Performance estimates of multiclass models before labels come: each class's probability calibrated where traffic now is.

M-CBPE and its weighted form (Bialek et al. 2024, "Estimating model performance under covariate shift without
labels", the multi-class case): one calibration a class against all others, each row's results scaled to 1; a
metric is that of the expected confusion.
"""

from collections.abc import Callable
from typing import Literal, get_args

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Array, Floats
from kept.measures.estimates import BLIND_TO, calibrate, drawn_ends, effective_sample_size

EstimatedOfClasses = Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier_score"]
OF_CLASSES: tuple[EstimatedOfClasses, ...] = get_args(EstimatedOfClasses)

_EPS = float(np.finfo(np.float64).eps)
_MOST: dict[EstimatedOfClasses, float] = {"log_loss": np.inf, "brier_score": 2.0}


class ClassEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """As `estimates.Estimate`, of more than two classes."""

    metric: EstimatedOfClasses
    value: float | None
    low: float | None
    high: float | None
    effective_rows: float
    rows: int
    blind_to: str = BLIND_TO


def estimate_classes(
    metric: EstimatedOfClasses,
    current: Floats,
    *,
    reference: Floats,
    labels: Array,
    weights: Floats | None = None,
    seed: int = 0,
    draws: int = 40,
) -> ClassEstimate:
    """The metric on today's probabilities `(n, k)`, from reference ones `(m, k)` with labels (indices of the classes)."""
    if reference.ndim != 2 or current.ndim != 2 or current.shape[1] != reference.shape[1]:
        raise Invalid(
            f"probabilities of shapes {reference.shape} and {current.shape}",
            where="estimate",
            fix="Give one probability a class",
        )
    weighed = np.ones(reference.shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)
    labels = np.asarray(labels)
    value, low, high = None, None, None
    if current.shape[0] and reference.shape[0]:
        random = np.random.default_rng(seed)
        whole = _EXPECTED[metric](current, calibrated_classes(current, reference, labels, weighed))
        rows = reference.shape[0]
        drawn = [random.integers(0, rows, rows) for _ in range(draws)]
        values = [
            _EXPECTED[metric](current, calibrated_classes(current, reference[some], labels[some], weighed[some]))
            for some in drawn
        ]
        value, (low, high) = whole, drawn_ends(whole, np.array(values), most=_MOST.get(metric, 1.0))
    return ClassEstimate(
        metric=metric,
        value=value,
        low=low,
        high=high,
        effective_rows=effective_sample_size(weighed),
        rows=current.shape[0],
    )


def calibrated_classes(current: Floats, reference: Floats, labels: Array, weights: Floats) -> Floats:
    """The chance of each class, rows adding up to 1; where all classes come out at 0, the probabilities as they are."""
    found = np.empty_like(current)
    for place in range(current.shape[1]):
        curve = calibrate(reference[:, place], (labels == place).astype(np.float64), weights)
        found[:, place] = curve(current[:, place])
    total = found.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(found, total, out=current.copy(), where=total > 0))


def _accuracy(scores: Floats, chance: Floats) -> float:
    return float(np.take_along_axis(chance, scores.argmax(axis=1)[:, None], axis=1).mean())


def _confusion(scores: Floats, chance: Floats) -> Floats:
    """The expected rows of each class (down) that are said to be each class (across)."""
    said = np.eye(scores.shape[1])[scores.argmax(axis=1)]
    return np.asarray(chance.T @ said)


def _balanced_accuracy(scores: Floats, chance: Floats) -> float:
    table = _confusion(scores, chance)
    rows = table.sum(axis=1)
    occurs = rows > _EPS
    return float((np.diagonal(table)[occurs] / rows[occurs]).mean())


def _macro_f1(scores: Floats, chance: Floats) -> float:
    table = _confusion(scores, chance)
    both = table.sum(axis=0) + table.sum(axis=1)
    occurs = both > _EPS
    return float((2 * np.diagonal(table)[occurs] / both[occurs]).mean())


def _log_loss(scores: Floats, chance: Floats) -> float:
    return float(-(chance * np.log(np.clip(scores, _EPS, 1.0))).sum(axis=1).mean())


def _brier(scores: Floats, chance: Floats) -> float:
    return float(((scores**2).sum(axis=1) - 2 * (scores * chance).sum(axis=1) + 1).mean())


_EXPECTED: dict[EstimatedOfClasses, Callable[[Floats, Floats], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "log_loss": _log_loss,
    "brier_score": _brier,
}
