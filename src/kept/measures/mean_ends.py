"""How surely the mean of a few lopsided values is known."""

import math
from collections.abc import Sequence

import numpy as np

from kept.measures.arrays import Floats, scaled
from kept.measures.special import stdtrit

# Below this a skewness changes nothing that a float would show.
_STRAIGHT = 1e-6
# What an outcome that never came counts for: half a row (Jeffreys' prior).
_UNSEEN = 0.5


def mean_ends(values: Floats, *, level: float, unseen: Sequence[Floats] = ()) -> tuple[float, float]:
    """The interval of the mean of two or more values, drawn back by their skewness.

    Hall 1992, "On the removal of skewness by transformation", section 2: the cubic one, whose inverse is a cube root, with
    Student's quantiles. Losses are lopsided, and both the plain and the resampled interval end too early above.

    `unseen` are what the same rows would have been worth with outcomes that none of them had: a loss without a positive
    says nothing of what a positive will cost, and each is counted as half a row.
    """
    rows = values.size
    every, size = scaled(np.concatenate([values, *unseen]))
    weights = np.full(every.size, _UNSEEN / rows)
    weights[:rows] = 1.0
    total = float(weights.sum())
    mean = float(weights @ every) / total
    apart = every - mean
    spread = math.sqrt(float(weights @ apart**2) / (total - 1))
    if spread == 0.0:
        return mean * size, mean * size
    skewness = float(weights @ (apart / spread) ** 3) / total
    quantile = float(stdtrit(rows - 1, 0.5 + level / 2)) / math.sqrt(rows)
    low, high = (mean - spread * _straightened(end, skewness, rows) for end in (quantile, -quantile))
    return low * size, high * size


def _straightened(quantile: float, skewness: float, rows: int) -> float:
    if abs(skewness) < _STRAIGHT:
        return quantile
    return 3 / skewness * (math.cbrt(1 + skewness * (quantile - skewness / (6 * rows))) - 1)
