"""Metrics of predicted numbers."""

import numpy as np

from kept.measures.arrays import Array, Floats


def root_mean_squared_error(labels: Array, predicted: Floats) -> float:
    """The root of the mean squared error, in the unit of the label."""
    return float(np.sqrt(((labels - predicted) ** 2).mean()))


def median_absolute_error(labels: Array, predicted: Floats) -> float:
    """The median of |error|, in the unit of the label."""
    return float(np.median(np.abs(labels - predicted)))


def r2(labels: Array, predicted: Floats) -> float:
    """The share of the labels' variance that is explained; NaN when the labels do not vary."""
    total = float(((labels - labels.mean()) ** 2).sum())
    if total == 0.0:
        return float("nan")
    return 1.0 - float(((labels - predicted) ** 2).sum()) / total
