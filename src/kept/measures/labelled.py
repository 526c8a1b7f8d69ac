"""Metrics of predicted labels against true ones, from the confusion matrix."""

import numpy as np

from kept.measures.arrays import Array, Floats

# Events among trials.
Counted = tuple[float, float]


def correct(labels: Array, predicted: Array) -> Floats:
    """1.0 for each row that is right, else 0.0; its mean is the accuracy."""
    return np.asarray(labels == predicted, dtype=np.float64)


def accuracy(labels: Array, predicted: Array) -> float:
    """The share of rows that are right."""
    return float(correct(labels, predicted).mean())


def right_among_all(labels: Array, predicted: Array) -> Counted:
    """Rows that are right among all."""
    return int(np.count_nonzero(labels == predicted)), labels.size


def right_by_class(labels: Array, predicted: Array) -> list[Counted]:
    """Of each class that occurs in the labels how many of its rows are right."""
    _, index, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    hits = np.bincount(index, weights=labels == predicted)
    return list(zip(hits.tolist(), sizes.tolist(), strict=True))


def balanced_accuracy(labels: Array, predicted: Array) -> float:
    """The mean, over the classes that occur in the labels, of the share of their rows that are right."""
    return float(np.mean([hits / rows for hits, rows in right_by_class(labels, predicted)]))


def found_among_said(labels: Array, predicted: Array) -> Counted:
    """True positives among the predicted ones."""
    return int(np.count_nonzero((labels == 1) & (predicted == 1))), int(np.count_nonzero(predicted == 1))


def found_among_true(labels: Array, predicted: Array) -> Counted:
    """True positives among all positives."""
    return int(np.count_nonzero((labels == 1) & (predicted == 1))), int(np.count_nonzero(labels == 1))


def found_among_either(labels: Array, predicted: Array) -> Counted:
    """True positives among the rows that are positive or predicted so."""
    true, said = labels == 1, predicted == 1
    return int(np.count_nonzero(true & said)), int(np.count_nonzero(true | said))


def precision(labels: Array, predicted: Array) -> float:
    """The share of predicted positives that are positive; NaN when none is predicted."""
    return _ratio(*found_among_said(labels, predicted))


def recall(labels: Array, predicted: Array) -> float:
    """The share of positives that are predicted so; NaN when there is none."""
    return _ratio(*found_among_true(labels, predicted))


def f1(labels: Array, predicted: Array) -> float:
    """The harmonic mean of precision and recall; NaN when there is neither a positive nor a predicted one."""
    return _class_f1(labels == 1, predicted == 1)


def macro_f1(labels: Array, predicted: Array) -> float:
    """The mean of each class's F1, over the classes that occur in labels or predictions."""
    classes = np.union1d(labels, predicted)
    return float(np.mean([_class_f1(labels == k, predicted == k) for k in classes]))


def _class_f1(true: Array, said: Array) -> float:
    return _ratio(2 * np.count_nonzero(true & said), np.count_nonzero(true) + np.count_nonzero(said))


def _ratio(part: float | np.integer, whole: float | np.integer) -> float:
    return float(part / whole) if whole else float("nan")
