"""Metrics of predicted labels against true ones, from the confusion matrix."""

import numpy as np

from kept.measures.arrays import Array, Floats


def correct(labels: Array, predicted: Array) -> Floats:
    """1.0 for each row that is right, else 0.0; its mean is the accuracy."""
    return np.asarray(labels == predicted, dtype=np.float64)


def accuracy(labels: Array, predicted: Array) -> float:
    """The share of rows that are right."""
    return float(correct(labels, predicted).mean())


def balanced_accuracy(labels: Array, predicted: Array) -> float:
    """The mean, over the classes that occur in the labels, of the share of their rows that are right."""
    _, index, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    hits = np.bincount(index, weights=labels == predicted)
    return float((hits / sizes).mean())


def precision(labels: Array, predicted: Array) -> float:
    """The share of predicted positives that are positive; NaN when none is predicted."""
    return _ratio(np.count_nonzero((labels == 1) & (predicted == 1)), np.count_nonzero(predicted == 1))


def recall(labels: Array, predicted: Array) -> float:
    """The share of positives that are predicted so; NaN when there is none."""
    return _ratio(np.count_nonzero((labels == 1) & (predicted == 1)), np.count_nonzero(labels == 1))


def f1(labels: Array, predicted: Array) -> float:
    """The harmonic mean of precision and recall; NaN when there is neither a positive nor a predicted one."""
    return _class_f1(labels == 1, predicted == 1)


def macro_f1(labels: Array, predicted: Array) -> float:
    """The mean of each class's F1, over the classes that occur in labels or predictions."""
    classes = np.union1d(labels, predicted)
    return float(np.mean([_class_f1(labels == k, predicted == k) for k in classes]))


def _class_f1(true: Array, said: Array) -> float:
    return _ratio(2 * np.count_nonzero(true & said), np.count_nonzero(true) + np.count_nonzero(said))


def _ratio(part: int | np.integer, whole: int | np.integer) -> float:
    return float(part / whole) if whole else float("nan")
