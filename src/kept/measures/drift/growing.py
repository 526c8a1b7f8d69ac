"""Columns that only grow, or only fall: times, running numbers, keys.

Each of their windows lies beyond the one before, so that none is like the reference: what they are compared with says
nothing, and they would alarm for ever.
"""

import math
from collections.abc import Sequence

import numpy as np

from kept.measures.arrays import Flags, Ints
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.grid import Grid

# Two that are apart may be a step, and go on as the second.
_LEAST_WINDOWS = 3
# How often windows of independent values may lie in order by chance.
_CHANCE = 1e-4


def growing(grid: Grid, windows: Sequence[WindowCounts]) -> Flags:
    """Of each numeric column whether all its windows, in the order of time, lie above the one before, or all below.

    Only where that is no chance: a column that is the same all through each window has a value a window, and three
    of these lie in order every third time.
    """
    low, high = (np.array([getattr(one, end) for one in windows]) for end in ("low", "high"))
    missing = grid.offsets[1 : len(grid.numeric) + 1] - 1
    values = np.array([one.rows - one.cells[missing] for one in windows])
    found = np.zeros(low.shape[1], dtype=np.bool_)
    for column in range(found.size):
        held = ~np.isnan(low[:, column])
        least, most = low[held, column], high[held, column]
        if least.size >= _LEAST_WINDOWS and ((least[1:] > most[:-1]).all() or (most[1:] < least[:-1]).all()):
            found[column] = _chance(np.where(least < most, values[held, column], 1)) <= _CHANCE
    return found


def _chance(values: Ints) -> float:
    """The chance that windows of so many independent values each lie in order, up or down."""
    orders = math.lgamma(values.sum() + 1) - sum(math.lgamma(count + 1) for count in values)
    return min(2 * math.exp(-orders), 1.0)
