"""The drift statistics of a window: one number a statistic, for all columns at once.

location: mean normal score. scale: variance of the scores about the window's own mean. missing: share. shape: shares of
ten bins. category: shares of the most frequent values and of unseen ones. pair: correlation of two columns' scores about
the window's own means (about the reference's, a mere shift of two columns would look like a new correlation).
"""

from functools import cached_property
from typing import Literal

import msgspec
import numpy as np

from kept.measures.arrays import Flags, Floats, Ints
from kept.measures.drift.cells import SCORE_STEPS, SHAPE_BINS
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.grid import LARGEST_CORRELATION, Grid

StatisticKind = Literal["location", "scale", "missing", "shape", "category", "pair"]

KINDS: tuple[StatisticKind, ...] = ("location", "scale", "missing", "shape", "category", "pair")
# Where nearly all rows share one value, the mean score is a count of the few others: shape bins see those exactly.
_LEAST_SPREAD = 0.3


class Layout(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """Which statistic is which. All arrays have one entry a statistic; `second` is -1 but for pairs.

    `part` is the bin of a shape, the place of a category (that of unseen ones is the last), else 0.
    """

    kind: Ints
    column: Ints
    second: Ints
    part: Ints

    @property
    def size(self) -> int:
        """The number of statistics."""
        return self.kind.size

    def of(self, *kinds: StatisticKind) -> Flags:
        """Which statistics are of these kinds."""
        return np.isin(self.kind, [KINDS.index(kind) for kind in kinds])

    @cached_property
    def proportions(self) -> Flags:
        """Which statistics are shares of rows."""
        return self.of("missing", "shape", "category")


class Measured(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The statistics of one window: their values, and the rows each rests on (0 where it is not defined)."""

    value: Floats
    rows: Floats


class Yardstick(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the reference says of each statistic: its value, the standard deviation of one row's part, whether in use.

    `freedom` has one entry a numeric column: a variance of n rows is spread like a chi-square's with n times this many
    degrees of freedom (1 where scores are normal).
    """

    mean: Floats
    spread: Floats
    used: Flags
    freedom: Floats


def layout(grid: Grid) -> Layout:
    """The statistics of a grid, in the order of `measure_window`."""
    numeric, columns = len(grid.numeric), len(grid.columns)
    first, second = grid.pairs
    tops = [each.top + 1 for each in grid.categories]
    blocks = [
        (0, np.arange(numeric), None, None),
        (1, np.arange(numeric), None, None),
        (2, np.arange(columns), None, None),
        (3, np.repeat(np.arange(numeric), SHAPE_BINS), None, np.tile(np.arange(SHAPE_BINS), numeric)),
        (4, np.repeat(np.arange(numeric, columns), tops), None, np.concatenate([[], *(np.arange(n) for n in tops)])),
        (5, first, second, None),
    ]
    return Layout(
        kind=np.concatenate([np.full(column.size, kind) for kind, column, _, _ in blocks]).astype(np.int64),
        column=np.concatenate([column for _, column, _, _ in blocks]).astype(np.int64),
        second=np.concatenate([np.full(c.size, -1) if other is None else other for _, c, other, _ in blocks]).astype(
            np.int64
        ),
        part=np.concatenate([np.zeros(c.size) if part is None else part for _, c, _, part in blocks]).astype(np.int64),
    )


def measure_window(grid: Grid, counts: WindowCounts) -> Measured:
    """The value of each statistic: a mean score, a variance, a share, or Fisher's z of a correlation."""
    numeric = len(grid.numeric)
    shares, present, missing = _parts(grid, counts)
    location, variance = score_moments(grid, counts)
    rows = np.full(missing.size, float(counts.rows))
    missing_share = missing / max(counts.rows, 1)
    pairs = _fisher(_correlations(grid, counts))
    value = np.concatenate([location, variance, missing_share, shares, pairs])
    per_part = np.repeat(present, grid.part_sizes)
    pair_rows = np.where(np.isfinite(pairs), max(_paired_rows(counts) - 3.0, 0.0), 0.0)
    weight = np.concatenate([present[:numeric], np.maximum(present[:numeric] - 1, 0), rows, per_part, pair_rows])
    return Measured(value=np.where(weight > 0, value, 0.0), rows=weight)


def yardstick(grid: Grid, counts: WindowCounts) -> Yardstick:
    """The reference's values and spreads, from the counts of all its rows."""
    where = layout(grid)
    measured = measure_window(grid, counts)
    spread = np.ones(where.size)
    _, variance = score_moments(grid, counts)
    numeric = len(grid.numeric)
    spread[where.of("location")] = np.sqrt(np.maximum(variance, 1e-12))
    spread[where.of("scale")] = np.maximum(variance, 1e-12)
    shares = where.proportions
    # A share never seen is not impossible: half a row is added (Jeffreys' prior), so no spread is zero.
    smooth = (measured.value[shares] * measured.rows[shares] + 0.5) / (measured.rows[shares] + 1)
    spread[shares] = np.sqrt(smooth * (1 - smooth))
    pairs = where.of("pair")
    correlation = np.tanh(measured.value[pairs])
    spread[pairs] = grid.pair_noise / (1 - correlation**2)
    used = measured.rows > 0
    dull = np.flatnonzero(variance < _LEAST_SPREAD**2)
    used &= ~(where.of("location", "scale") & np.isin(where.column, dull))
    used &= ~(pairs & (np.isin(where.column, dull) | np.isin(where.second, dull)))
    used[: 2 * numeric] &= measured.rows[: 2 * numeric] > 1
    return Yardstick(mean=measured.value, spread=spread, used=used, freedom=_scale_freedom(grid, counts))


def without_columns(where: Layout, yard: Yardstick, columns: Ints) -> Yardstick:
    """The yardstick with nothing of these columns in use but their missing values."""
    hidden = (np.isin(where.column, columns) | np.isin(where.second, columns)) & ~where.of("missing")
    return msgspec.structs.replace(yard, used=yard.used & ~hidden) if columns.size else yard


def standardise(grid: Grid, yard: Yardstick, measured: Measured) -> Floats:
    """How far each statistic is from the reference, in standard deviations of one row.

    Without a change its mean is 0 and its variance 1 / rows, plus what varies between windows. Variances are compared
    by their cube roots, which are nearly normal (Wilson and Hilferty 1931), correlations by Fisher's z.
    """
    away = (measured.value - yard.mean) / yard.spread
    numeric = len(grid.numeric)
    scale = slice(numeric, 2 * numeric)
    freedom = yard.freedom * np.maximum(measured.rows[scale], 1.0)
    root = np.cbrt(measured.value[scale] / yard.spread[scale])
    away[scale] = (root - 1 + 2 / (9 * freedom)) * np.sqrt(4.5 * yard.freedom)
    return np.where(measured.rows > 0, away, 0.0)


def _scale_freedom(grid: Grid, counts: WindowCounts) -> Floats:
    """Twice over the relative variance of a row's squared deviation."""
    flat, bounds = _numeric(grid, counts)
    if not bounds.size:
        return np.zeros(0)
    present = _sums(flat * grid.present, bounds)
    location, variance = score_moments(grid, counts)
    centred = (grid.scores - np.repeat(location, np.diff(np.append(bounds, flat.size)))) * grid.present
    fourth = _sums(flat * centred**4, bounds) / np.maximum(present, 1)
    relative = np.divide(fourth, variance**2, out=np.full(bounds.size, 3.0), where=variance > 1e-9) - 1
    return np.asarray(2.0 / np.maximum(relative, 0.1))


def score_moments(grid: Grid, counts: WindowCounts) -> tuple[Floats, Floats]:
    """The mean and variance of each numeric column's scores, of the rows where it is present."""
    flat, bounds = _numeric(grid, counts)
    if not bounds.size:
        return np.zeros(0), np.zeros(0)
    missing = counts.cells[grid.offsets[1 : bounds.size + 1] - 1]
    present = np.maximum(counts.rows - missing, 1)
    mean = _sums(flat * grid.scores, bounds) / present
    square = _sums(flat * grid.squares, bounds) / present
    return mean, np.maximum(square - mean**2, 0.0) * present / np.maximum(present - 1, 1)


def part_shares(grid: Grid, counts: WindowCounts) -> list[Floats]:
    """For each column the shares of its shape bins, or of its top categories and of unseen ones, of rows present."""
    shares, _, _ = _parts(grid, counts)
    return np.split(shares, np.cumsum(grid.part_sizes)[:-1])


def _parts(grid: Grid, counts: WindowCounts) -> tuple[Floats, Floats, Floats]:
    """The shares of all parts, and the rows present and missing of each column."""
    missing = counts.cells[grid.offsets[1:] - 1].astype(np.float64)
    present = counts.rows - missing
    sizes = grid.part_sizes
    starts, parts = grid.part_runs
    held = np.bincount(parts, weights=np.add.reduceat(counts.cells, starts), minlength=int(sizes.sum()) + 1)[:-1]
    return held / np.repeat(np.maximum(present, 1.0), sizes), present, missing


def _numeric(grid: Grid, counts: WindowCounts) -> tuple[Floats, Ints]:
    end = grid.offsets[len(grid.numeric)]
    return counts.cells[:end].astype(np.float64), grid.offsets[: len(grid.numeric)]


def _sums(flat: Floats, bounds: Ints) -> Floats:
    return np.asarray(np.add.reduceat(flat, bounds))


def _correlations(grid: Grid, counts: WindowCounts) -> Floats:
    """The correlation of each pair about the window's own means, missing scores at 0; NaN where one does not vary."""
    rows = _paired_rows(counts)
    if grid.paired < 2 or not rows:
        return np.full(grid.paired * (grid.paired - 1) // 2, np.nan)
    sums: Floats | Ints = counts.paired_sums
    if not sums.size:
        flat, bounds = _numeric(grid, counts)
        sums = _sums(flat * grid.whole_scores, bounds)[: grid.paired]
    mean = sums / rows
    covariance = counts.cross / rows - np.outer(mean, mean)
    spread = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    upper = grid.pairs
    scale = np.outer(spread, spread)[upper]
    varies = scale > 1e-6 * SCORE_STEPS**2
    return np.asarray(np.divide(covariance[upper], scale, out=np.full(scale.size, np.nan), where=varies))


def _paired_rows(counts: WindowCounts) -> int:
    return counts.paired_rows if counts.paired_sums.size else counts.rows


def _fisher(correlation: Floats) -> Floats:
    return np.asarray(np.arctanh(np.clip(correlation, -LARGEST_CORRELATION, LARGEST_CORRELATION)))
