"""From how many rows on a statistic is compared at all: with fewer its normal approximation does not hold."""

import numpy as np

from kept.measures.arrays import Floats, Ints
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.grid import Grid
from kept.measures.drift.statistics import Layout, Yardstick

# The mean of n values of skewness s and kurtosis k has the skewness s / sqrt(n) and the excess kurtosis (k - 3) / n.
_ROWS_A_SQUARED_SKEWNESS = 8.0
_ROWS_A_KURTOSIS = 1.0
# A chi-square's cube root is nearly normal from here on, also where the values are few and the counts so whole numbers.
_LEAST_FREEDOM = 20.0
# A spread of which less than this is its own moves with the mean, and is not compared.
_LEAST_OWN = 0.1


def least_rows(grid: Grid, where: Layout, yard: Yardstick, counts: WindowCounts) -> Floats:
    """One entry a statistic, from the reference's counts; 0 for shares, which have exact tails.

    It matters for rare values: of a flag that 2% of the rows bear the mean needs 370 rows, and the correlation of two such
    flags, which one row with both would make, 17,000.
    """
    least = np.zeros(where.size)
    skewness, kurtosis = _shapes(grid, counts, grid.present)
    least[where.of("location")] = _for_a_mean(skewness, kurtosis)
    # What of the squared scores does not follow from the scores: nothing where a column has two values (Pearson's inequality).
    own = kurtosis - 1 - skewness**2
    tells = own > _LEAST_OWN * (kurtosis - 1) + 1e-9
    least[where.of("scale")] = np.where(tells, _LEAST_FREEDOM / np.maximum(yard.freedom, 1e-12), np.inf)
    # Among pairs a missing value has the score 0.
    skewness, kurtosis = _shapes(grid, counts, np.ones(grid.scores.size))
    pairs = where.of("pair")
    first, second = where.column[pairs], where.second[pairs]
    # Of the products of two columns that do not hang together.
    least[pairs] = _for_a_mean(skewness[first] * skewness[second], kurtosis[first] * kurtosis[second])
    return least


def _for_a_mean(skewness: Floats, kurtosis: Floats) -> Floats:
    return np.asarray(np.maximum(_ROWS_A_SQUARED_SKEWNESS * skewness**2, _ROWS_A_KURTOSIS * kurtosis))


def _shapes(grid: Grid, counts: WindowCounts, among: Floats) -> tuple[Floats, Floats]:
    """The skewness and the kurtosis of each numeric column's scores, of the cells that are among these."""
    if not grid.numeric:
        return np.zeros(0), np.zeros(0)
    bounds: Ints = grid.offsets[: len(grid.numeric)]
    held = counts.cells[: grid.offsets[len(grid.numeric)]] * among
    rows = np.maximum(np.add.reduceat(held, bounds), 1.0)
    mean = np.add.reduceat(held * grid.scores, bounds) / rows
    centred = grid.scores - np.repeat(mean, np.diff(grid.offsets[: len(grid.numeric) + 1]))
    second, third, fourth = (np.add.reduceat(held * centred**power, bounds) / rows for power in (2, 3, 4))
    varies = second > 1e-12
    skewness = np.divide(third, second**1.5, out=np.zeros(rows.size), where=varies)
    kurtosis = np.divide(fourth, second**2, out=np.zeros(rows.size), where=varies)
    return skewness, kurtosis
