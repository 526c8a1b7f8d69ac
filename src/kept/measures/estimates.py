"""Performance estimates before labels come, from scores that are calibrated where traffic now is.

CBPE: the expected confusion of calibrated probabilities. PAPE (Bialek et al. 2024, "Estimating model performance under
covariate shift without labels"): the calibration is fitted on reference rows weighted by how much likelier they are in
today's traffic than in the reference, as told by a classifier of today's rows against reference rows.
Both are blind to concept drift: where the same row now has another outcome, no score can show it.
"""

import math
from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Array, Floats
from kept.measures.special import isotonic_regression, stdtrit

Estimated = Literal["accuracy", "precision", "recall", "f1", "log_loss", "brier_score", "roc_auc"]

BLIND_TO = "concept drift: a change in the outcome of the same rows"


class Calibration(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag="kept.calibration.1"):
    """A rising step curve from scores to probabilities, straight between its points."""

    scores: Floats
    probabilities: Floats

    def __call__(self, scores: Array) -> Floats:
        """The calibrated probability of each score; level beyond the scores it was fitted on."""
        return np.interp(scores, self.scores, self.probabilities)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A metric that no label was needed for, None where it is not defined.

    The interval is what the reference rows leave open (bootstrap over them, level 95%), their weights taken for true; the
    labels' own sampling comes on top. `effective_rows` is how many equally weighted reference rows the estimate rests on.
    """

    metric: Estimated
    value: float | None
    low: float | None
    high: float | None
    effective_rows: float
    rows: int
    blind_to: str = BLIND_TO


def effective_sample_size(weights: Array) -> float:
    """How many equally weighted rows tell as much: (sum w)^2 / sum w^2 (Kish 1965)."""
    weights = np.asarray(weights, dtype=np.float64)
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def density_ratio(domain_scores: Array, *, reference_rows: int, current_rows: int, most: float = 50.0) -> Floats:
    """Weights of reference rows from a domain classifier's probabilities that each is a row of today.

    p / (1 - p) x reference rows / current rows (Bickel et al. 2009), at most `most`, mean 1.
    """
    p = np.clip(np.asarray(domain_scores, dtype=np.float64), 1e-9, 1 - 1e-9)
    weights = np.minimum(p / (1 - p) * reference_rows / current_rows, most)
    return np.asarray(weights / weights.mean())


def calibrate(scores: Array, labels: Array, weights: Array | None = None) -> Calibration:
    """Weighted isotonic regression of labels (0 or 1) on scores, by pooling adjacent violators.

    Rows of equal score are one point, as their order means nothing. For more than two classes give the
    probability of the likeliest class and whether it is right: the estimate is then of accuracy.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    weights = np.ones(scores.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not scores.size or not scores.shape == labels.shape == weights.shape:
        raise Invalid(
            f"{scores.size} scores, {labels.size} labels, {weights.size} weights",
            where="calibrate",
            fix="One of each a row",
        )
    if not (np.isfinite(scores).all() and np.isin(labels, (0.0, 1.0)).all() and np.all(weights >= 0)):
        raise Invalid("scores must be finite, labels 0 or 1, weights not negative", where="calibrate", fix="Clean them")
    points, place = np.unique(scores, return_inverse=True)
    weight = np.bincount(place, weights=weights)
    kept = weight > 0
    if not kept.any():
        raise Invalid("all weights are zero", where="calibrate", fix="Give at least one row some weight")
    share = np.bincount(place, weights=weights * labels)[kept] / weight[kept]
    fitted = isotonic_regression(share, weight[kept])
    return Calibration(scores=points[kept], probabilities=np.asarray(fitted, dtype=np.float64))


def estimate(
    metric: Estimated,
    current: Array,
    *,
    reference: Array,
    labels: Array,
    weights: Array | None = None,
    threshold: float = 0.5,
    seed: int = 0,
    draws: int = 100,
) -> Estimate:
    """The metric on today's scores, from reference scores with labels.

    With `weights` (see `density_ratio`) it is PAPE, without them CBPE.
    """
    scores = np.asarray(current, dtype=np.float64)
    reference, labels = np.asarray(reference, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    weighed = np.ones(reference.size) if weights is None else np.asarray(weights, dtype=np.float64)
    expected = _EXPECTED[metric]

    def once(rows: Array | slice) -> float:
        curve = calibrate(reference[rows], labels[rows], weighed[rows])
        return expected(scores, curve(scores), threshold)

    whole = once(slice(None)) if scores.size else float("nan")
    low = high = None
    if not np.isnan(whole):
        random = np.random.default_rng(seed)
        values = np.array([once(random.integers(0, reference.size, reference.size)) for _ in range(draws)])
        low, high = drawn_ends(whole, values, most=np.inf if metric == "log_loss" else 1.0)
    return Estimate(
        metric=metric,
        value=None if np.isnan(whole) else whole,
        low=low,
        high=high,
        effective_rows=effective_sample_size(weighed),
        rows=scores.size,
    )


def drawn_ends(whole: float, values: Floats, *, most: float) -> tuple[float | None, float | None]:
    """The 95% interval of an estimate, which lies between 0 and `most`, from what it was on resampled reference rows.

    A calibration suits the rows that it was fitted on too well, so that what it promises of them is not kept: by as much as
    that shows on resampled rows the interval is moved back, and widened (Efron and Tibshirani 1993, sections 10.3 and 10.6).
    """
    defined = values[~np.isnan(values)]
    if defined.size < 2:
        return None, None
    bias, error = float(defined.mean()) - whole, float(defined.std(ddof=1))
    width = float(stdtrit(defined.size - 1, 0.975)) * math.hypot(error, bias)
    return max(whole - bias - width, 0.0), min(whole - bias + width, most)


def _accuracy(scores: Floats, chance: Floats, threshold: float) -> float:
    return float(np.where(scores >= threshold, chance, 1 - chance).mean())


def _precision(scores: Floats, chance: Floats, threshold: float) -> float:
    said = scores >= threshold
    return float(chance[said].mean()) if said.any() else float("nan")


def _recall(scores: Floats, chance: Floats, threshold: float) -> float:
    total = float(chance.sum())
    return float(chance[scores >= threshold].sum()) / total if total else float("nan")


def _f1(scores: Floats, chance: Floats, threshold: float) -> float:
    said = scores >= threshold
    whole = float(chance.sum()) + np.count_nonzero(said)
    return 2 * float(chance[said].sum()) / whole if whole else float("nan")


def _log_loss(scores: Floats, chance: Floats, _threshold: float) -> float:
    eps = np.finfo(np.float64).eps
    p = np.clip(scores, eps, 1 - eps)
    return float(-(chance * np.log(p) + (1 - chance) * np.log1p(-p)).mean())


def _brier(scores: Floats, chance: Floats, _threshold: float) -> float:
    return float((chance * (1 - scores) ** 2 + (1 - chance) * scores**2).mean())


def _roc_auc(scores: Floats, chance: Floats, _threshold: float) -> float:
    """Each row is `chance` of a positive and the rest of a negative; pairs of a row with itself count half."""
    _, place = np.unique(scores, return_inverse=True)
    positive, negative = np.bincount(place, weights=chance), np.bincount(place, weights=1 - chance)
    whole = float(positive.sum() * negative.sum())
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below) / whole if whole else float("nan")


_EXPECTED: dict[Estimated, Callable[[Floats, Floats, float], float]] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "log_loss": _log_loss,
    "brier_score": _brier,
    "roc_auc": _roc_auc,
}
