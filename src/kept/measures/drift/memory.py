"""How long windows remember: where a day is like the day before, many alike days in a row are no more evidence than a few.

What varies between windows is taken for an autoregression of the first order. The sum of many windows' effects then varies
as if each varied (1 + r) / (1 - r) times as much and were independent (Bartlett 1946, "On the theoretical specification and
sampling properties of autocorrelated time-series").
"""

import numpy as np

from kept.measures.arrays import Floats, Ints

# Standard errors above zero from which on a correlation of neighbours is believed.
_BELIEVED = 2.0
# A group whose windows vary more by their days than by sampling shows well enough how they follow one another.
_MOSTLY = 0.5
_LARGEST = 0.95
# A series as short as this many times its own memory does not show how much it varies.
_LEAST_TIMES = 2.0


def memory_of(apart: Floats, rows: Floats, between: Floats, group: Ints) -> Floats:
    """By how much each statistic's variance between windows counts more than once: 1 where windows do not remember.

    Args:
        apart: how far each window's statistics are from their means, in the order of time, shape `(windows, statistics)`.
        rows: what they rest on.
        between: the variance between windows of each statistic.
        group: its group. Each is believed by itself, and its group by the sum of all in it, as days are shared.
    """
    found = np.ones(group.size)
    varies = between > 0
    if rows.shape[0] < 3 or not varies.any():
        return found
    weight = np.divide(1.0, 1.0 / np.maximum(rows, 1e-12) + between, out=np.zeros_like(rows), where=rows > 0)
    scaled = apart * np.sqrt(weight)
    products = scaled[1:] * scaled[:-1]
    # Sampling is not remembered: of all that varies this share may be.
    share = between * weight.mean(axis=0)
    found[varies] = _times(products[:, varies], share[varies], np.inf)
    for each in np.unique(group[varies]):
        members = np.flatnonzero(varies & (group == each))
        together = _times(
            products[:, members].sum(axis=1, keepdims=True), share[members].sum(keepdims=True), members.size
        )
        found[members] = np.maximum(found[members], together)
    return found


def _times(products: Floats, share: Floats, series: float) -> Floats:
    """From the products of neighbours, shape `(windows - 1, columns)`, each the sum of so many series.

    `share` is what windows vary by, beside sampling, summed in the same way.
    """
    pairs = products.shape[0]
    mean, error = products.mean(axis=0), products.std(axis=0, ddof=1) / np.sqrt(pairs)
    seen = mean / share
    # About a mean of its own, a short series seems to remember less than it does (Marriott and Pope 1954).
    memory = np.clip(seen + (1 + 3 * seen) / (pairs + 1), 0.0, _LARGEST)
    times = (1 + memory) / (1 - memory)
    # Nor does it show all that it varies by.
    times /= 1 - np.minimum(times / (pairs + 1), 1 / _LEAST_TIMES)
    return np.where((mean > _BELIEVED * error) | (share > _MOSTLY * series), times, 1.0)
