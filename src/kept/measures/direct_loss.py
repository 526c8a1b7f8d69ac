"""Direct loss estimation: a regression's error before labels come, learned from the errors of labelled rows.

Direct loss estimation (DLE, NannyML): a second model foresees the loss of each row from its features and the prediction.
Here what it gets wrong on labelled rows, weighted to today's traffic, is added: doubly robust, right when either the
foreseen losses or the weights are (Robins, Rotnitzky and Zhao 1994; under covariate shift: Reddi, Poczos and Smola 2015).
Blind to concept drift, as all estimates without labels.
"""

from typing import Literal, get_args

import msgspec
import numpy as np

from kept.measures.arrays import Array, Floats, scaled
from kept.measures.covariates import Covariates, design
from kept.measures.domain import FOLDS
from kept.measures.estimates import BLIND_TO, effective_sample_size

EstimatedError = Literal["mae", "rmse", "mape"]
ERRORS: tuple[EstimatedError, ...] = get_args(EstimatedError)

_PENALTY = 30.0
_NORMAL = 1.96


class ErrorEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """An error that no label was needed for, None where it is not defined.

    The interval is 95% by the normal law: what the labelled rows and the rows of today leave open. It does not know of
    what the foreseeing model cannot express where the labelled rows do not reach.
    """

    metric: EstimatedError
    value: float | None
    low: float | None
    high: float | None
    effective_rows: float
    rows: int
    blind_to: str = BLIND_TO


def estimate_error(
    metric: EstimatedError,
    reference: Covariates,
    labels: Array,
    predicted: Array,
    weights: Floats,
    current: Covariates,
) -> ErrorEstimate:
    """The error on today's rows; the predictions stand among the covariates of both.

    Args:
        metric: mean absolute, root mean squared or mean absolute percentage error.
        reference: labelled rows.
        labels: theirs.
        predicted: what was said of them.
        weights: of the labelled rows in today's traffic (`domain_weights`), mean 1.
        current: today's rows.
    """
    errors, size = scaled(_errors(metric, np.asarray(labels, np.float64), np.asarray(predicted, np.float64)))
    losses = errors**2 if metric == "rmse" else errors
    effective = effective_sample_size(weights)
    usable = np.isfinite(losses)
    if np.count_nonzero(usable) < 2 * FOLDS or not current.rows:
        return ErrorEstimate(
            metric=metric, value=None, low=None, high=None, effective_rows=effective, rows=current.rows
        )
    losses, weights = losses[usable], weights[usable]
    past, now = design(reference.take(usable), current)
    fold = np.arange(losses.size) % FOLDS
    missed, foreseen = np.empty(losses.size), np.zeros(now.shape[0])
    for held_out in range(FOLDS):
        use, mine = fold != held_out, fold == held_out
        told, there = _foresee(past[use], losses[use], past[mine], now)
        missed[mine] = losses[mine] - told
        foreseen += there / FOLDS
    mean = float(foreseen.mean()) + float(weights @ missed) / losses.size
    mean = min(max(mean, 0.0), float(losses.max()))
    error = np.sqrt(foreseen.var() / foreseen.size + float(weights**2 @ missed**2) / losses.size**2)
    ends = (max(mean - _NORMAL * float(error), 0.0), mean, mean + _NORMAL * float(error))
    low, value, high = (size * (float(np.sqrt(each)) if metric == "rmse" else each) for each in ends)
    return ErrorEstimate(metric=metric, value=value, low=low, high=high, effective_rows=effective, rows=current.rows)


def _errors(metric: EstimatedError, labels: Floats, predicted: Floats) -> Floats:
    gap = np.abs(labels - predicted)
    if metric == "mape":
        return np.asarray(np.divide(gap, np.abs(labels), out=np.full(gap.size, np.nan), where=labels != 0))
    return gap


def _foresee(rows: Floats, losses: Floats, there: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Ridge regression of the losses; no row is foreseen to lose less than nothing or more than the worst did."""
    middle, mean = rows.mean(axis=0), float(losses.mean())
    centred = rows - middle
    bend = centred.T @ centred
    bend[np.diag_indices_from(bend)] += _PENALTY
    coefficients = np.linalg.solve(bend, centred.T @ (losses - mean))
    most = float(losses.max())
    told, said = (np.clip(mean + (each - middle) @ coefficients, 0.0, most) for each in (there, now))
    return told, said
