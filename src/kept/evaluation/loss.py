"""The loss between 0 and 1 that production is held against: Brier for classes, the bounded error for numbers."""

import math

import msgspec
import numpy as np

from kept.measures.arrays import Floats
from kept.measures.losses import row_loss
from kept.plan.specs import Task


class LossReference(msgspec.Struct, frozen=True, kw_only=True):
    """What the loss was on the test rows. Losses lie between 0 and 1."""

    mean: float
    error: float
    """Standard error of the mean."""
    scale: float | None = None
    """Regression only: the error that is as bad as any."""


def reference_loss(task: Task, labels: Floats, scores: Floats) -> LossReference:
    """The reference that a version's test rows give.

    For regression the error that is as bad as any is the width between the 1% and the 99% quantile of the labels.
    """
    scale = None
    if task == "regression":
        low, high = np.quantile(labels, [0.01, 0.99])
        scale = float(high - low) or 1.0
        losses = row_loss("bounded_error", labels, scores, scale=scale)
    else:
        losses = row_loss("brier", labels, scores)
    error = float(losses.std(ddof=1)) / math.sqrt(losses.size) if losses.size > 1 else 1.0
    return LossReference(mean=float(losses.mean()), error=error, scale=scale)
