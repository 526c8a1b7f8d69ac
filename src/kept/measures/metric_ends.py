"""Intervals of metrics that need no resampling: those that are shares of rows or positives, means over rows, or made of these.

Resampled, rows that are all right are all right again: of 30 rows of a model that is right for 97%, every second
interval would end at 100% and begin there.
"""

import math
from typing import NamedTuple

import numpy as np

from kept.measures import labelled
from kept.measures.arrays import Floats, scaled
from kept.measures.mean_ends import mean_ends
from kept.measures.metrics import Metric
from kept.measures.ranking import average_precision
from kept.measures.shares import mean_share_ends, share_ends
from kept.measures.special import ndtri

_SHARES = {
    "accuracy": labelled.right_among_all,
    "precision": labelled.found_among_said,
    "recall": labelled.found_among_true,
    "f1": labelled.found_among_either,
}
_WILSON, _LOGIT, _MEAN = "Wilson", "logit", "skewness-corrected t"


class Ends(NamedTuple):
    """Where an interval begins and ends (None where the rows do not tell), and how it was made."""

    low: float | None
    high: float | None
    method: str


def direct_ends(of: Metric, labels: Floats, predicted: Floats, *, level: float) -> Ends | None:
    """The ends of a metric that is defined on these rows, from what it needs; None for one that has to be resampled."""
    normal = float(ndtri(0.5 + level / 2))
    if of.name in _SHARES:
        low, high = share_ends(*_SHARES[of.name](labels, predicted), normal)
        return Ends(_dice(low), _dice(high), _WILSON) if of.name == "f1" else Ends(low, high, _WILSON)
    if of.name == "balanced_accuracy":
        counts = labelled.right_by_class(labels, predicted)
        # Of a class without a row nothing is known.
        return Ends(*mean_share_ends(counts, normal), _WILSON) if len(counts) > 1 else Ends(None, None, _WILSON)
    if of.name == "average_precision":
        positives = int(np.count_nonzero(labels))
        return Ends(*_logit_ends(average_precision(labels, predicted), positives, normal), _LOGIT)
    if of.name == "rmse":
        errors, size = scaled(labels - predicted)
        squares = mean_value_ends(errors**2, level=level)
        root_low, root_high = (
            None if end is None else size * math.sqrt(max(end, 0.0)) for end in (squares.low, squares.high)
        )
        return Ends(root_low, root_high, squares.method)
    if of.rows is None:
        return None
    found = mean_value_ends(of.rows(labels, predicted), level=level, unseen=_unseen(of, labels, predicted))
    return found if found.low is None else found._replace(low=max(found.low, 0.0))


def _logit_ends(average: float, positives: int, normal: float) -> tuple[float, float]:
    """Of an average precision over so many positives.

    Boyd, Eng and Page 2013, "Area under the precision-recall curve: point estimates and confidence intervals", section 3.2, where
    perfect order counts as that of half a positive less.
    """
    inner = min(max(average, 0.5 / (positives + 1)), 1 - 0.5 / (positives + 1))
    middle, width = math.log(inner / (1 - inner)), normal / math.sqrt(positives * inner * (1 - inner))
    low, high = (1 / (1 + math.exp(-end)) for end in (middle - width, middle + width))
    return min(low, average), max(high, average)


def _dice(share: float) -> float:
    """F1 from the share of true positives among the rows that are positive or predicted so.

    Hand, Christen and Kirielle 2021, "F*: an interpretable transformation of the F-measure".
    """
    return 2 * share / (1 + share)


def mean_value_ends(values: Floats, *, level: float, unseen: tuple[Floats, ...] = ()) -> Ends:
    """The ends of the mean of values (see `mean_ends`); None where one alone does not tell."""
    if values.size < 2:
        return Ends(None, None, _MEAN)
    low, high = mean_ends(values, level=level, unseen=unseen)
    return Ends(low, high, _MEAN)


def _unseen(of: Metric, labels: Floats, scores: Floats) -> tuple[Floats, ...]:
    """What the rows would lose had they been of a class that none of them is of."""
    if of.rows is None or "regression" in of.tasks:
        return ()
    classes = scores.shape[1] if scores.ndim == 2 else 2
    missing = np.setdiff1d(np.arange(classes), labels)
    return tuple(of.rows(np.full(labels.size, float(one)), scores) for one in missing)
