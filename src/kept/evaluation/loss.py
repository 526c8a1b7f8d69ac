"""The loss between 0 and 1 that production is held against: Brier for classes, the bounded error for numbers."""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.measures.arrays import Floats
from kept.measures.losses import row_loss
from kept.plan.specs import Task

_FEWEST_WINDOWS = 5


class LossReference(msgspec.Struct, frozen=True, kw_only=True):
    """What the loss was on the test rows. Losses lie between 0 and 1."""

    mean: float
    error: float
    """Standard error of the mean, clustered by window where rows have a time."""
    scale: float | None = None
    """Regression only: the error that is as bad as any."""
    design_effect: float = 1.0
    """By how much the windows' means vary more than independent rows would (Kish 1965): 1 for independent rows.

    Flights of one stormy day are late together: there a day is one observation, not a thousand.
    """


def reference_loss(
    task: Task, labels: Floats, scores: Floats, windows: NDArray[np.int64] | None = None
) -> LossReference:
    """The reference that a version's test rows give.

    Args:
        task: what kind of model it is.
        labels: class indices or numbers, `(n,)`.
        scores: as the model gives them.
        windows: the number of each row's monitoring window; None where rows have no time.

    For regression the error that is as bad as any is the width between the 1% and the 99% quantile of the labels.
    """
    scale = None
    if task == "regression":
        low, high = np.quantile(labels, [0.01, 0.99])
        scale = float(high - low) or 1.0
        losses = row_loss("bounded_error", labels, scores, scale=scale)
    else:
        losses = row_loss("brier", labels, scores)
    independent = float(losses.std(ddof=1)) / math.sqrt(losses.size) if losses.size > 1 else 1.0
    error = independent if windows is None else _clustered(losses, windows) or independent
    effect = (error / independent) ** 2 if independent > 0 else 1.0
    return LossReference(mean=float(losses.mean()), error=error, scale=scale, design_effect=max(effect, 1.0))


def _clustered(losses: Floats, windows: NDArray[np.int64]) -> float | None:
    """The standard error of the mean when rows of a window go together (Liang and Zeger 1986, with G / (G - 1))."""
    _, group = np.unique(windows, return_inverse=True)
    sums = np.bincount(group, weights=losses - losses.mean())
    if sums.size < _FEWEST_WINDOWS:
        return None
    return float(math.sqrt((sums**2).sum() * sums.size / (sums.size - 1)) / losses.size)
