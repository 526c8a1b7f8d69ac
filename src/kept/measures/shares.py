"""How surely a share of rows is known, and what is made of shares."""

import math
from collections.abc import Sequence


def share_ends(events: float, trials: float, normal: float) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), which keeps its level for few rows and rare events.

    `normal` is the standard normal quantile of its level. Counts that were divided by their design effect need not be whole.
    """
    share, square = events / trials, normal**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = normal / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    # At no event, or events only, the ends are the share itself, which rounding may miss.
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)


def mean_share_ends(counts: Sequence[tuple[float, float]], normal: float) -> tuple[float, float]:
    """The interval of the plain mean of independent shares, of `(events, trials)` each, made of their own intervals.

    Zou and Donner 2008, "Construction of confidence limits about effect measures: a general approach", section 2.
    """
    mean = sum(events / trials for events, trials in counts) / len(counts)
    below = above = 0.0
    for events, trials in counts:
        low, high = share_ends(events, trials, normal)
        below += (events / trials - low) ** 2
        above += (high - events / trials) ** 2
    return mean - math.sqrt(below) / len(counts), mean + math.sqrt(above) / len(counts)
