"""Overdispersion: how much windows differ from one another beyond sampling, without having changed.

Random effects as in meta-analysis (DerSimonian and Laird 1986), each statistic's variance between windows shrunk to that
of its group by empirical Bayes (Smyth 2004, "Linear models and empirical Bayes methods", section 6.2).
"""

import math
from functools import cached_property

import msgspec
import numpy as np

from kept.measures.arrays import Flags, Floats, Ints
from kept.measures.drift.memory import memory_of
from kept.measures.special import digamma, polygamma

LEAST_WINDOWS = 10

# Statistics of one group move together (days are shared), so the group is trusted no further than this many times a
# statistic's own windows.
_MOST_TRUST = 3.0
_LEAST_GROUP = 3


class Variation(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """Each statistic's variance between windows, in squared standard deviations of a row.

    `freedom` are the degrees of freedom of the total variance (sampling and between) that it was estimated from, and
    `total` that variance. Zero `between` stands for windows that differ by sampling alone. Over many windows `times` as much
    is left of it as if windows did not remember (see `memory`); empty in references that were stored before that was known.
    """

    between: Floats
    freedom: Floats
    total: Floats
    times: Floats = msgspec.field(default_factory=lambda: np.ones(0))

    @cached_property
    def lasting(self) -> Floats:
        """The variance between as many windows without memory that would tell as much as these."""
        return self.between * self.times if self.remembers else self.between

    @cached_property
    def remembers(self) -> bool:
        """Whether any statistic does."""
        return bool((self.times > 1).any())


def between_windows(away: Floats, rows: Floats, group: Ints, eligible: Flags, seasons: Ints | None = None) -> Variation:
    """From standardised statistics and the rows they rest on, shape `(windows, statistics)`, in the order of time.

    Each window is held against the mean of those of its own season (one a window; None: all are of one). Statistics that are not eligible,
    or rest on fewer than ten windows, are taken not to vary.
    """
    windows = np.count_nonzero(rows > 0, axis=0)
    seasons = np.zeros(rows.shape[0], dtype=np.int64) if seasons is None else seasons
    apart, spare, means = (np.zeros(group.size) for _ in range(3))
    gaps = np.zeros_like(away)
    for season in np.unique(seasons):
        own, held = away[seasons == season], rows[seasons == season]
        whole = np.maximum(held.sum(axis=0), 1e-12)
        mean = (held * own).sum(axis=0) / whole
        gap = np.where(held > 0, own - mean, 0.0)
        gaps[seasons == season] = gap
        apart += (held * gap**2).sum(axis=0)
        spare += whole - (held**2).sum(axis=0) / whole
        means += (held > 0).any(axis=0)
    freedom = np.maximum(windows - means, 1.0)
    ratio = apart / freedom
    sampling = np.divide(freedom, spare, out=np.ones(group.size), where=spare > 0)
    eligible = eligible & (windows >= LEAST_WINDOWS) & (ratio > 0)
    shrunk, total_freedom = ratio.copy(), freedom.copy()
    for each in np.unique(group):
        members = np.flatnonzero(eligible & (group == each))
        if members.size >= _LEAST_GROUP:
            typical, trust = _prior(ratio[members], freedom[members])
            own = freedom[members]
            shrunk[members] = (trust * typical + own * ratio[members]) / (trust + own)
            total_freedom[members] = trust + own
    between = np.where(eligible, np.maximum(shrunk - 1.0, 0.0) * sampling, 0.0)
    times = memory_of(gaps, rows, between, group)
    return Variation(between=between, freedom=total_freedom, total=between + sampling, times=times)


def _prior(ratio: Floats, freedom: Floats) -> tuple[float, Floats]:
    """The typical variance of a group and the degrees of freedom it counts for, by moments of the logarithms."""
    logs = np.log(ratio) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(np.var(logs, ddof=1) - polygamma(1, freedom / 2).mean())
    most = _MOST_TRUST * freedom
    trust = most if excess <= 0 else np.minimum(2 * _inverse_trigamma(excess), most)
    level = float(trust.mean())
    typical = math.exp(float(logs.mean()) + float(digamma(level / 2)) - math.log(level / 2))
    return typical, trust


def _inverse_trigamma(value: float) -> float:
    """The x whose trigamma is `value`, by Newton's method on 1/trigamma, which is nearly straight (Smyth 2004)."""
    if value > 1e7:
        return 1 / math.sqrt(value)
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x
