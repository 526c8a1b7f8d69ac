"""What a table is compared with: the counts of reference rows, and how much its windows vary by themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Array, Flags, Floats
from kept.measures.drift.counts import WindowCounts, count_rows, empty_counts
from kept.measures.drift.cycle import UTC, Cycle, season_of
from kept.measures.drift.grid import Grid, Kind, Table, check_table, learn_grid
from kept.measures.drift.growing import growing
from kept.measures.drift.least_rows import least_rows
from kept.measures.drift.seasons import Season
from kept.measures.drift.statistics import (
    Layout,
    Measured,
    Yardstick,
    layout,
    measure_window,
    standardise,
    without_columns,
    yardstick,
)
from kept.measures.drift.variation import LEAST_WINDOWS, Variation, between_windows
from kept.measures.special import ndtri

# Rows that no window has.
_MOST = 1e12
# The chance that any statistic of a reference is wrong by more than `safe_errors`.
_UNLUCKY = 0.05


class Reference(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True, tag="kept.drift-reference.1"):
    """A reference, complete in itself: it can be stored and read by another worker (`arrays.encode`, `decode`).

    `precision` and `moment` are, for each statistic, the sum over the reference's windows of 1 / variance and of the
    standardised value over its variance: the start of the running mean that later windows are compared with.
    Where a `cycle` was declared, a window is held against what `seasons` say of its own.
    """

    grid: Grid
    counts: WindowCounts
    windows: int
    yard: Yardstick
    variation: Variation
    precision: Floats
    moment: Floats
    cycle: Cycle | None = None
    zone: str = UTC
    """The time zone by whose clock seasons are told."""
    seasons: dict[int, Season] = {}
    growing: tuple[str, ...] = ()
    """Numeric columns of which each window lies beyond the one before: only their missing values are compared."""

    @property
    def rows(self) -> int:
        """The rows it was made from."""
        return self.counts.rows

    @property
    def assumes_independence(self) -> bool:
        """Whether it had too few windows to tell how much they vary, so that windows are taken to vary by sampling alone."""
        return self.windows < LEAST_WINDOWS

    @cached_property
    def independent_windows(self) -> float:
        """How many windows without memory would tell as much of how windows vary."""
        varies = self.variation.between > 0
        if not varies.any():
            return float(self.windows)
        times = self.variation.lasting[varies] / self.variation.between[varies]
        return self.windows / float(np.median(times))

    @cached_property
    def layout(self) -> Layout:
        """Which statistic is which."""
        return layout(self.grid)

    @cached_property
    def safe_errors(self) -> float:
        """By how many of its standard errors any of its statistics may be wrong: the more, the more they are (Bonferroni)."""
        statistics = max(int(np.count_nonzero(self.yard.used)), 1)
        return float(-ndtri(_UNLUCKY / (2 * statistics)))

    @cached_property
    def _least_rows(self) -> Floats:
        least = least_rows(self.grid, self.layout, self.yard, self.counts)
        # So many rows are worth n / (1 + n between) independent ones, and never more than 1 / between.
        room = np.maximum(1.0 - np.minimum(least, _MOST) * self.variation.between, 0.0)
        return np.asarray(np.divide(least, room, out=np.full(least.size, np.inf), where=room > 0))

    def known_rows(self, measured: Measured) -> Floats:
        """The rows each statistic rests on, 0 for one that is not in use or rests on too few to be compared.

        Rows that hang together (windows that vary by more than sampling) count for no more than they tell.
        """
        return _known_rows(self.yard, measured, self._least_rows)

    def season_at(self, moment: datetime) -> int | None:
        """The season of a window that begins then; None where none was declared."""
        return None if self.cycle is None else season_of(self.cycle, moment, self.zone)

    def of_season(self, season: int | None) -> "Reference | None":
        """What a window of this season is held against; None where the reference has no window of it."""
        if season is None:
            return self
        own, made = self.seasons.get(season), self._of_seasons
        if own is None:
            return None
        if season not in made:
            made[season] = msgspec.structs.replace(
                self,
                counts=own.counts,
                yard=own.yard,
                precision=own.precision,
                moment=own.moment,
                cycle=None,
                seasons={},
            )
            made[season].__dict__["layout"] = self.layout
        return made[season]

    @cached_property
    def _of_seasons(self) -> "dict[int, Reference]":
        """Those that were asked for."""
        return {}


def build_reference(
    columns: Table,
    kinds: Mapping[str, Kind],
    windows: Sequence[slice] | Array | None = None,
    *,
    cycle: Cycle | None = None,
    seasons: Array | None = None,
    zone: str = UTC,
) -> Reference:
    """A reference from a table.

    Args:
        columns: numbers (NaN missing), or objects, texts (None missing) or `Coded` for categorical columns.
        kinds: the columns to watch, each "numeric" or "categorical".
        windows: the reference's own windows in the order of time, as slices, or as one window number a row (negative:
            in no window); about as large as those to come. At least 10, better 20 to 30; with fewer
            (None: one) windows are taken to vary by sampling alone.
        cycle: what windows are told apart by, if they are.
        seasons: one season a row, the same within a window.
        zone: the time zone by whose clock they were told, and those of windows to come will be.
    """
    grid = learn_grid(columns, kinds)
    rows = check_table(columns, tuple(kinds))
    parts = _row_sets(windows, rows)
    counts = [count_rows(grid, {name: columns[name][part] for name in kinds}) for part in parts]
    if cycle is None or seasons is None:
        return reference_from(grid, counts)
    told = with_seasons(reference_from(grid, counts), counts, cycle, [int(seasons[part][0]) for part in parts])
    return msgspec.structs.replace(told, zone=zone)


def reference_from(grid: Grid, windows: Sequence[WindowCounts]) -> Reference:
    """A reference from the counts of its windows, in the order of time: for tables that do not fit in memory."""
    held = [window for window in windows if window.rows]
    if not held:
        raise Invalid("no window holds a row", where="reference", fix="Give windows that cover the rows")
    counts = sum(held, start=empty_counts(grid))
    where, grows = layout(grid), growing(grid, held)
    yard = without_columns(where, yardstick(grid, counts), np.flatnonzero(grows))
    away, rows = _standardised(grid, yard, held, least_rows(grid, where, yard, counts))
    eligible = yard.used & _tells(where, yard, rows)
    variation = between_windows(away, rows, where.kind, eligible)
    precision, moment = _sums(away, rows, variation)
    return Reference(
        grid=grid,
        counts=counts,
        windows=len(held),
        yard=_with_new_values(grid, where, yard),
        variation=variation,
        precision=precision,
        moment=moment,
        growing=tuple(name for name, one in zip(grid.numeric, grows, strict=True) if one),
    )


def with_seasons(
    reference: Reference, windows: Sequence[WindowCounts], cycle: Cycle, seasons: Sequence[int]
) -> Reference:
    """The reference that holds each window against those of its own season, from its windows and the season of each."""
    grid, where = reference.grid, reference.layout
    grown = np.flatnonzero(np.isin(grid.numeric, reference.growing))
    placed = [(season, window) for season, window in zip(seasons, windows, strict=True) if window.rows]
    numbers = np.array([season for season, _ in placed], dtype=np.int64)
    found = {}
    away, rows = np.zeros((len(placed), where.size)), np.zeros((len(placed), where.size))
    eligible = np.ones(where.size, dtype=np.bool_)
    for season in sorted(set(numbers.tolist())):
        held = [window for own, window in placed if own == season]
        counts = sum(held, start=empty_counts(grid))
        yard = without_columns(where, yardstick(grid, counts), grown)
        own_away, own_rows = _standardised(grid, yard, held, least_rows(grid, where, yard, counts))
        away[numbers == season], rows[numbers == season] = own_away, own_rows
        eligible &= _tells(where, yard, own_rows) | ~yard.used
        found[season] = (counts, _with_new_values(grid, where, yard))
    variation = between_windows(away, rows, where.kind, eligible, numbers)
    told = {}
    for season, (counts, yard) in found.items():
        precision, moment = _sums(away[numbers == season], rows[numbers == season], variation)
        told[season] = Season(counts=counts, yard=yard, precision=precision, moment=moment)
    return msgspec.structs.replace(reference, variation=variation, cycle=cycle, seasons=told)


def _standardised(grid: Grid, yard: Yardstick, windows: Sequence[WindowCounts], least: Floats) -> tuple[Floats, Floats]:
    measured = [measure_window(grid, window) for window in windows]
    rows = [_known_rows(yard, each, least) for each in measured]
    return np.array([standardise(grid, yard, each) for each in measured]), np.array(rows)


def _known_rows(yard: Yardstick, measured: Measured, least: Floats) -> Floats:
    return np.where(yard.used & (measured.rows >= least), measured.rows, 0.0)


def _tells(where: Layout, yard: Yardstick, rows: Floats) -> Flags:
    """A share of which a window expects less than one row tells nothing about days."""
    share = np.minimum(yard.mean, 1 - yard.mean)
    return np.asarray(~where.proportions | (share * rows.mean(axis=0) >= 1))


def _sums(away: Floats, rows: Floats, variation: Variation) -> tuple[Floats, Floats]:
    """The precision and the moment of windows."""
    weight = np.divide(1.0, 1.0 / np.maximum(rows, 1e-12) + variation.lasting, out=np.zeros_like(rows), where=rows > 0)
    return weight.sum(axis=0), (weight * away).sum(axis=0)


def count_window(reference: Reference, columns: Table) -> WindowCounts:
    """The counts of a window's rows, or of a part of them: parts add up."""
    return count_rows(reference.grid, columns)


def _with_new_values(grid: Grid, where: Layout, yard: Yardstick) -> Yardstick:
    """The yardstick for new windows, which hold values that a sample of this size has not met yet."""
    mean, spread = yard.mean.copy(), yard.spread.copy()
    for place, categories in enumerate(grid.categories, len(grid.numeric)):
        unseen = where.of("category") & (where.column == place) & (where.part == categories.top)
        mean[unseen] = np.minimum(mean[unseen] + categories.expected_new, 1.0)
        spread[unseen] = np.maximum(spread[unseen], np.sqrt(mean[unseen] * (1 - mean[unseen])))
    return msgspec.structs.replace(yard, mean=mean, spread=spread)


def _row_sets(windows: Sequence[slice] | Array | None, rows: int) -> list[slice | Array]:
    if windows is None:
        return [slice(0, rows)]
    if not isinstance(windows, np.ndarray):
        return list(windows)
    if windows.shape != (rows,):
        raise Invalid(
            f"{windows.size} window numbers for {rows} rows", where="reference", fix="Give one window number a row"
        )
    # One stable sort, so that each window's rows are found without a pass a window.
    order = np.argsort(windows, kind="stable")
    numbers, starts = np.unique(windows[order], return_index=True)
    return [part for number, part in zip(numbers, np.split(order, starts[1:]), strict=True) if number >= 0]
