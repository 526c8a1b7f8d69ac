"""Columns that only grow, or only fall: times, running numbers, keys.

Each of their windows lies beyond the one before, so that none is like the reference: what they are compared with says
nothing, and they would alarm for ever.
"""

from collections.abc import Sequence

import numpy as np

from kept.measures.arrays import Flags
from kept.measures.drift.counts import WindowCounts

# Windows and rows a window from which on that is no chance: two windows of ten rows are apart in one of 90,000 cases.
_LEAST_WINDOWS, _LEAST_ROWS = 3, 10


def growing(windows: Sequence[WindowCounts]) -> Flags:
    """Of each numeric column whether all its windows, in the order of time, lie above the one before, or all below."""
    low, high = (np.array([getattr(one, end) for one in windows]) for end in ("low", "high"))
    found = np.zeros(low.shape[1], dtype=np.bool_)
    if sum(one.rows for one in windows) < _LEAST_ROWS * len(windows):
        return found
    for column in range(found.size):
        held = ~np.isnan(low[:, column])
        least, most = low[held, column], high[held, column]
        if least.size >= _LEAST_WINDOWS:
            found[column] = bool((least[1:] > most[:-1]).all() or (most[1:] < least[:-1]).all())
    return found
