"""How far a window's columns lie from the reference, in the distances people know. No alarm hangs on them.

They grow with the noise of small windows, so a fixed threshold on one is not a rate of false alarms.
"""

import msgspec
import numpy as np

from kept.measures.arrays import Floats, Ints
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.grid import Grid
from kept.measures.drift.statistics import part_shares

# The least share in the population stability index, which would else be infinite.
_LEAST_SHARE = 1e-4


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """One column's distances, of the rows where it is present; None where a side has none or it is categorical.

    `psi` (population stability index) and `jensen_shannon` (the root of the divergence in bits, 0 to 1) are over ten bins or
    the most frequent categories. `ks` is the largest difference of the distribution functions, `wasserstein` the
    area between them in the column's own unit; infinite values do not count in it.
    """

    psi: float | None
    jensen_shannon: float | None
    ks: float | None
    wasserstein: float | None


def distances(grid: Grid, reference: WindowCounts, window: WindowCounts) -> dict[str, Distance]:
    """The distances of each column."""
    apart, areas = _by_distribution(grid, reference, window)
    found = {}
    sides = zip(grid.columns, part_shares(grid, reference), part_shares(grid, window), strict=True)
    for place, (name, before, now) in enumerate(sides):
        if not (before.any() and now.any()):
            found[name] = Distance(psi=None, jensen_shannon=None, ks=None, wasserstein=None)
            continue
        numeric = place < len(grid.numeric)
        found[name] = Distance(
            psi=population_stability(before, now),
            jensen_shannon=jensen_shannon(before, now),
            ks=float(apart[place]) if numeric else None,
            wasserstein=float(areas[place]) if numeric and np.isfinite(areas[place]) else None,
        )
    return found


def population_stability(before: Floats, now: Floats) -> float:
    """The sum of (now - before) log(now / before), shares no less than 0.0001."""
    p, q = np.maximum(before, _LEAST_SHARE), np.maximum(now, _LEAST_SHARE)
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(before: Floats, now: Floats) -> float:
    """The root of the Jensen-Shannon divergence in bits (Endres and Schindelin 2003): a metric from 0 to 1."""
    p, q = before / before.sum(), now / now.sum()
    middle = (p + q) / 2
    return float(np.sqrt(max(0.0, (_relative(p, middle) + _relative(q, middle)) / 2)))


def _relative(p: Floats, q: Floats) -> float:
    held = p > 0
    return float((p[held] * np.log2(p[held] / q[held])).sum())


def _by_distribution(grid: Grid, reference: WindowCounts, window: WindowCounts) -> tuple[Floats, Floats]:
    """The largest gap of the distribution functions of each numeric column, and the area between them."""
    bounds = grid.offsets[: len(grid.numeric)]
    if not bounds.size:
        return np.zeros(0), np.zeros(0)
    lengths = np.diff(grid.offsets[: len(grid.numeric) + 1])
    before, now = _shares(grid, reference, lengths), _shares(grid, window, lengths)
    both = np.repeat((np.add.reduceat(before, bounds) > 0) & (np.add.reduceat(now, bounds) > 0), lengths)
    # Each column's differences add up to nothing, so one running sum serves all of them.
    gap = np.abs(np.cumsum((now - before) * both)) * grid.present
    low, high = np.fmin(reference.low, window.low), np.fmax(reference.high, window.high)
    bounded = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(bounded, low, 0.0), np.where(bounded, high, 0.0)
    # Within a cell the mass is taken to lie at its upper edge.
    ends = np.clip(grid.uppers, np.repeat(low, lengths), np.repeat(high, lengths))
    area = np.add.reduceat(gap * np.diff(ends, append=0.0), bounds)
    return np.maximum.reduceat(gap, bounds), np.where(bounded, area, np.nan)


def _shares(grid: Grid, counts: WindowCounts, lengths: Ints) -> Floats:
    held = counts.cells[: grid.scores.size] * grid.present
    rows = np.add.reduceat(held, grid.offsets[: lengths.size])
    return np.asarray(held / np.repeat(np.maximum(rows, 1.0), lengths))
