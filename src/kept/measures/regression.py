"""Metrics of predicted numbers. Errors of any size that a float can hold are squared without overflowing."""

import numpy as np

from kept.measures.arrays import Array, Floats, scaled


def root_mean_squared_error(labels: Array, predicted: Floats) -> float:
    """The root of the mean squared error, in the unit of the label."""
    errors, size = scaled(labels - predicted)
    return float(np.sqrt((errors**2).mean())) * size


def median_absolute_error(labels: Array, predicted: Floats) -> float:
    """The median of |error|, in the unit of the label."""
    return float(np.median(np.abs(labels - predicted)))


def r2(labels: Array, predicted: Floats) -> float:
    """The share of the labels' variance that is explained; NaN when the labels do not vary."""
    deviations, width = scaled(labels - labels.mean())
    total = float((deviations**2).sum())
    if total == 0.0:
        return float("nan")
    errors, size = scaled(labels - predicted)
    return float(1.0 - (errors**2).sum() / total * np.square(size / width))
