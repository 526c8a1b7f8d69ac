"""The variance of areas under the ROC curve without resampling.

DeLong, DeLong and Clarke-Pearson 1988, "Comparing the areas under two or more correlated receiver operating
characteristic curves"; by mid-ranks as in Sun and Xu 2014, "Fast implementation of DeLong's algorithm". The quantiles are
Student's, with Satterthwaite's degrees of freedom (Brunner and Munzel 2000, "The nonparametric Behrens-Fisher problem",
section 3): two positives among hundreds of rows do not know their own spread.
"""

import math

from kept.measures.arrays import Array, Floats, mid_ranks
from kept.measures.intervals import Interval
from kept.measures.special import stdtrit


def auc_interval(labels: Array, scores: Floats, *, level: float = 0.95) -> Interval:
    """The area under the ROC curve; the interval is made on the logit, so it stays within 0 and 1.

    Where every positive scores above every negative (or below), the spread seen is zero; the far end is then the
    area at which that would still happen with probability `1 - level` in the smaller class.
    """
    placed = _placements(labels, scores)
    if placed is None:
        return _unknown(labels, level)
    by_positive, by_negative = placed
    area = float(by_positive.mean())
    width = _width(by_positive, by_negative, level)
    if area in {0.0, 1.0}:
        end = (1 - level) ** (1 / min(by_positive.size, by_negative.size))
        low, high = (end, 1.0) if area == 1.0 else (0.0, 1 - end)
    else:
        logit, reach = math.log(area / (1 - area)), width / (area * (1 - area))
        low, high = _logistic(logit - reach), _logistic(logit + reach)
    return Interval(estimate=area, low=low, high=high, level=level, method="DeLong", rows=labels.size)


def auc_difference(labels: Array, champion: Floats, challenger: Floats, *, level: float = 0.95) -> Interval:
    """The challenger's area minus the champion's, on the same rows."""
    one, two = _placements(labels, champion), _placements(labels, challenger)
    if one is None or two is None:
        return _unknown(labels, level)
    by_positive, by_negative = two[0] - one[0], two[1] - one[1]
    difference, width = float(by_positive.mean()), _width(by_positive, by_negative, level)
    return Interval(
        estimate=difference,
        low=difference - width,
        high=difference + width,
        level=level,
        method="DeLong",
        rows=labels.size,
    )


def _placements(labels: Array, scores: Floats) -> tuple[Floats, Floats] | None:
    """For each positive the share of negatives below it, for each negative the share of positives above it."""
    positive = labels == 1
    above, below = scores[positive], scores[~positive]
    if above.size < 2 or below.size < 2:
        return None
    ranks = mid_ranks(scores)
    by_positive = (ranks[positive] - mid_ranks(above)) / below.size
    by_negative = 1.0 - (ranks[~positive] - mid_ranks(below)) / above.size
    return by_positive, by_negative


def _width(by_positive: Floats, by_negative: Floats, level: float) -> float:
    """Half of the interval of the mean placement."""
    parts = [(placed.var(ddof=1) / placed.size, placed.size - 1) for placed in (by_positive, by_negative)]
    variance = float(sum(part for part, _ in parts))
    if variance == 0.0:
        return 0.0
    freedom = variance**2 / sum(part**2 / own for part, own in parts)
    return float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(variance)


def _unknown(labels: Array, level: float) -> Interval:
    return Interval(estimate=None, low=None, high=None, level=level, method="DeLong", rows=labels.size)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
