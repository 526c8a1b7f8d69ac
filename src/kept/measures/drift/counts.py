"""A window as counts. Windows of workers, machines, hours and days merge by adding, exactly and in any order."""

import msgspec
import numpy as np

from kept.core.errors import Conflict
from kept.measures.arrays import Floats, Ints
from kept.measures.drift.cells import Scratch
from kept.measures.drift.grid import Grid, Table, as_numbers, check_table
from kept.measures.drift.steps import extent

# Large enough to hide numpy's calls, small enough that a block of a column stays in the cache.
_BLOCK = 32_768
# From so many rows on it is cheaper to add up the tally of all codes than to look up the cell of each row.
_MANY_ROWS = 20_000
# Products of two scores are below 2^14 in 32nds, so sums of so few of them are exact in 32-bit floats; and products of
# matrices this small are not split over threads, whose waiting for one another cost as much again as the counting.
_EXACT = 128
# From so many rows on a correlation is known to 0.015, finer than any that matters: of windows with twice as many or more every
# second, third ... row is paired, as pairs would be half of what counting costs.
PAIRED_ROWS = 5_000
# As an array, since to see what a number is takes numpy three times as long.
_ONE = np.array(1)


class WindowCounts(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag="kept.drift-counts.1"):
    """All that is kept of a window's rows.

    `cells` are the flat counts of the grid whose digest is `grid`; `cross` the sums of products of the paired columns'
    scores, in 32nds squared, shape `(paired, paired)`; `low` and `high` the least and greatest value of each numeric
    column, NaN where it has none. `paired_rows` are the rows that are in the products, and `paired_sums` the sums of their
    scores, in 32nds; empty in counts that were stored when all rows were in, which then do not add.
    """

    grid: str
    rows: int
    cells: Ints
    cross: Ints
    low: Floats
    high: Floats
    paired_rows: int = 0
    paired_sums: Ints = msgspec.field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __add__(self, other: "WindowCounts") -> "WindowCounts":
        """The counts of both windows' rows."""
        if self.grid != other.grid or self.paired_sums.size != other.paired_sums.size:
            raise Conflict("the counts are of different grids", where="window", fix="Count both with one reference")
        return WindowCounts(
            grid=self.grid,
            rows=self.rows + other.rows,
            cells=self.cells + other.cells,
            cross=self.cross + other.cross,
            low=np.fmin(self.low, other.low),
            high=np.fmax(self.high, other.high),
            paired_rows=self.paired_rows + other.paired_rows,
            paired_sums=self.paired_sums + other.paired_sums,
        )


def empty_counts(grid: Grid) -> WindowCounts:
    """The counts of no rows."""
    numeric = len(grid.numeric)
    return WindowCounts(
        grid=grid.digest,
        rows=0,
        cells=np.zeros(int(grid.offsets[-1]), dtype=np.int64),
        cross=np.zeros((grid.paired, grid.paired), dtype=np.int64),
        low=np.full(numeric, np.nan),
        high=np.full(numeric, np.nan),
        paired_sums=np.zeros(grid.paired, dtype=np.int64),
    )


def count_rows(grid: Grid, columns: Table) -> WindowCounts:
    """The counts of a table's rows. Columns the grid does not know are ignored."""
    rows = check_table(columns, grid.columns)
    counts = empty_counts(grid)
    if not rows:
        return counts
    step, many = max(rows // PAIRED_ROWS, 1), rows >= _MANY_ROWS
    paired, in_pairs = grid.paired, len(range(0, rows, step))
    scores = np.zeros((paired, -(-in_pairs // _EXACT) * _EXACT), dtype=np.int8)
    chosen = np.empty(in_pairs, dtype=np.intp)
    block = -(-rows // -(-rows // _BLOCK) // step) * step
    lows, highs = np.full((2, len(grid.numeric), -(-rows // block)), np.nan)
    scratch = Scratch(min(block, rows))
    for place, (name, cells) in enumerate(zip(grid.numeric, grid.cells, strict=True)):
        column = as_numbers(columns[name], name)
        begin, end = grid.offsets[place], grid.offsets[place + 1]
        tally = scratch.tally(cells.table.size if many else 0)
        for turn, start in enumerate(range(0, rows, block)):
            # All that is asked of a block is asked while it is in the cache.
            part = column[start : start + block]
            among = extent(part)
            lows[place, turn], highs[place, turn] = among.low, among.high
            codes = cells.codes(part, among, scratch)
            if many:
                np.add.at(tally, codes, _ONE)
            else:
                counts.cells[begin:end] += np.bincount(cells.table[codes], minlength=cells.size + 1)
            if place < paired:
                chosen[start // step : (start + block) // step] = codes[::step]
        if place < paired:
            # Every code has a score, so that no bounds need be looked at first.
            cells.code_scores.take(chosen, mode="wrap", out=scores[place, :in_pairs])
        if many:
            cells.gather(tally, counts.cells[begin:end])
    for place, (name, categories) in enumerate(zip(grid.categorical, grid.categories, strict=True), len(grid.numeric)):
        counts.cells[grid.offsets[place] : grid.offsets[place + 1]] = categories.count(columns[name])
    if paired > 1:
        counts.cross[...] = _products(scores.astype(np.float32))
        counts.paired_sums[...] = scores.sum(axis=1)
    low, high = np.fmin.reduce(lows, axis=1), np.fmax.reduce(highs, axis=1)
    return msgspec.structs.replace(counts, rows=rows, paired_rows=in_pairs, low=low, high=high)


def _products(scores: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Ints:
    """The sums over rows of the products of each two columns' scores; their number is a multiple of `_EXACT`."""
    stacked = scores.reshape(scores.shape[0], -1, _EXACT).transpose(1, 0, 2)
    exact = np.matmul(stacked, stacked.transpose(0, 2, 1))
    return np.asarray(exact.sum(axis=0, dtype=np.float64).astype(np.int64))
