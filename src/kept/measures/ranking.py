"""How well scores order rows: area under the ROC curve, average precision."""

import numpy as np

from kept.measures.arrays import Array, Floats, mid_ranks


def roc_auc(labels: Array, scores: Floats) -> float:
    """The chance that a positive scores above a negative, ties counted half (Mann-Whitney).

    Labels of 0 and 1; NaN when one of them does not occur. Scores `(n, k)` with class indices as labels give
    the plain mean of one class against the rest, over the classes that occur and are not the only one.
    """
    if scores.ndim == 2:
        return _mean_of_defined([_binary_auc(labels == k, scores[:, k]) for k in range(scores.shape[1])])
    return _binary_auc(labels == 1, scores)


def _binary_auc(positive: Array, scores: Floats) -> float:
    positives = int(np.count_nonzero(positive))
    negatives = positive.size - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    # Half ranks are exact in floating point, so the order of the rows cannot change the sum.
    rank_sum = float(mid_ranks(scores)[positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def _mean_of_defined(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return sum(defined) / len(defined) if defined else float("nan")


def average_precision(labels: Array, scores: Floats) -> float:
    """The sum of precision at each threshold, weighted by the recall it adds; NaN without a positive.

    Rows of equal score enter together, so the value does not hang on the order of the rows.
    """
    positives = int(np.count_nonzero(labels))
    if positives == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hit = scores[order], labels[order] == 1
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    true_positives = np.cumsum(hit)[last_of_tie]
    precision = true_positives / (last_of_tie + 1)
    return float(np.sum(np.diff(true_positives, prepend=0) * precision) / positives)
