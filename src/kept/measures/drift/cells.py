"""The cells a numeric column is counted in: fixed once, about 2,000 of equal mass, equal values always together.

A value is placed by a code and one look-up, which also tells missing and infinite values apart. The code is the number of
one of many equal steps; where these are too coarse, as for amounts, the top 16 bits of the value's distance from the
column's middle (or from zero) as a 32-bit float (eight significant bits at any scale). Columns that this does not resolve
either (narrow clusters far from the middle) are placed by searching the edges. Rows are counted by their codes, of which
each cell then adds up its own: that spares the look-up of every row.
"""

from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.measures.arrays import Array, Floats, Ints
from kept.measures.drift.steps import ABOVE_ALL, BELOW_ALL, MISSING, STEPS, Extent, Steps, extent, steps_over
from kept.measures.special import ndtri

CELLS = 2_000
SHAPE_BINS = 10
# Scores in pairs are whole numbers of 32nds, so that their products add up exactly in any order.
SCORE_STEPS = 32

# Up to so many different values, the gaps between them are cells too: a value never seen has a cell of its own.
_FEW = 500
# A cell may hold more of the column than this only where one value does.
_MOST = 0.02
# Equal steps are taken where they are this fine: it is what the other codes come to.
_MOST_OF_A_STEP = 0.005
# Normal scores lie within about +-3.54, so that a few wild values cannot carry a mean; of a small sample within those of its
# least and greatest value, as just that share of later values is to be expected beyond them.
_TAIL = 2e-4

_ALL_CODES = 65_536
_NOT_FINITE = 0x7F80
_MINUS_ZERO = 0x8000


class Scratch:
    """Memory for placing up to so many values at a time: making it anew for each block costs more than the placing."""

    def __init__(self, rows: int) -> None:
        self.narrow = np.empty(rows, dtype=np.float32)
        self.codes = np.empty(rows, dtype=np.intp)
        self._tally = np.empty(_ALL_CODES, dtype=np.int64)

    def tally(self, codes: int) -> Ints:
        """Zeros, one for each of so many codes."""
        cleared = self._tally[:codes]
        cleared.fill(0)
        return cleared


class Cells(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True, omit_defaults=True):
    """How one numeric column is cut, and the normal score of each cell.

    A cell starts at each of `starts` and one lies below the first. Around them are cells for minus infinity (0) and
    plus infinity (`size` - 1); missing values have the index `size`. `starts` are numbers of steps of the width `step`, the first
    one about `centre`; where that is 0, codes (see `_codes`) of the distance from `centre`, or values where `searched`.
    """

    centre: float
    searched: bool
    starts: Floats
    scores: Floats
    shape: Ints
    step: float = 0.0

    @property
    def size(self) -> int:
        """The number of cells, without that of missing values."""
        return self.starts.size + 3

    @cached_property
    def table(self) -> NDArray[np.intp]:
        """The cell of each code: of each step, of the 65,536 top halves of a 32-bit float, or of the cells themselves where `searched`."""
        if self.searched:
            return np.arange(self.size + 1)
        if self.step:
            lengths = np.diff(np.concatenate([[0.0], self.starts, [STEPS]])).astype(np.int64)
            found = np.append(np.repeat(np.arange(1, self.starts.size + 2), lengths), np.zeros(3, dtype=np.int64))
            found[[BELOW_ALL, ABOVE_ALL, MISSING]] = 0, self.size - 1, self.size
            return found
        codes = np.arange(_ALL_CODES)
        ordered = np.where(codes < 0x8000, codes + 0x8000, 0xFFFF - codes)
        lengths = np.diff(np.concatenate([[0.0], self.starts, [_ALL_CODES]])).astype(np.int64)
        table = np.repeat(np.arange(1, self.starts.size + 2), lengths)[ordered]
        table[_MINUS_ZERO] = table[0]
        magnitude = codes & 0x7FFF
        table[magnitude > _NOT_FINITE] = self.size
        table[_NOT_FINITE] = self.size - 1
        table[_NOT_FINITE | 0x8000] = 0
        return table.astype(np.intp)

    @cached_property
    def whole_scores(self) -> Floats:
        """The score of each cell in whole 32nds, as pairs use them, that of missing values last."""
        return np.asarray(np.rint(self.scores * SCORE_STEPS))

    @cached_property
    def code_scores(self) -> NDArray[np.int8]:
        """The same of each code: below 128, as scores are below 4."""
        return self.whole_scores.astype(np.int8)[self.table]

    @cached_property
    def _steps(self) -> Steps:
        return Steps(self.centre, self.step)

    @cached_property
    def _runs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The codes at which the cell changes, and the cell from there on."""
        starts = np.flatnonzero(np.diff(self.table, prepend=-1))
        return starts, self.table[starts]

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        """The last step of each cell that has steps, and the three codes that follow the steps: cells of their own."""
        inside = np.append(self.starts, STEPS).astype(np.intp) - 1
        return np.append(inside, [BELOW_ALL, ABOVE_ALL, MISSING])

    @cached_property
    def edges(self) -> Floats:
        """The least value of each cell that has a start, in the column's own unit."""
        if self.searched:
            return self.starts
        ordered = self.starts.astype(np.int64)
        if self.step:
            return self._steps.edges(ordered)
        codes = np.where(ordered >= 0x8000, ordered - 0x8000, 0xFFFF - ordered).astype(np.uint32)
        # Below zero a code's distances end, not begin, at its bit pattern; the next pattern down is its least one.
        patterns = np.where(codes >= 0x8000, (codes << 16) + 0xFFFF, codes << 16).astype(np.uint32)
        return patterns.view(np.float32).astype(np.float64) + self.centre

    def place(self, values: Array) -> NDArray[np.intp]:
        """The cell of each value."""
        if not values.size:
            return np.zeros(0, dtype=np.intp)
        return self.table[self.codes(values, extent(values), Scratch(values.size))]

    def codes(self, values: Array, among: Extent, scratch: Scratch) -> NDArray[np.intp]:
        """The code of each value, until the scratch is used again. `among` is their extent."""
        if self.searched:
            wide = np.asarray(values, dtype=np.float64)
            found = np.searchsorted(self.starts, wide, side="right") + 1
            found[np.isposinf(wide)] = self.size - 1
            found[np.isneginf(wide)] = 0
            found[np.isnan(wide)] = self.size
            return found
        found = scratch.codes[: values.size]
        if self.step:
            return self._steps.number(values, among, found)
        narrow = scratch.narrow[: values.size]
        with np.errstate(over="ignore", invalid="ignore"):
            # The difference is taken in 64 bits whatever the column's type, and then rounded.
            np.subtract(values, np.float64(self.centre), out=narrow, casting="same_kind")
        return np.right_shift(narrow.view(np.uint32), 16, out=found, casting="unsafe")

    def gather(self, tally: Ints, counts: Ints) -> None:
        """How many values lie in each cell, missing ones last, into `counts`; of a tally of codes, which is used up."""
        if not self.step:
            starts, cells = self._runs
            counts.fill(0)
            np.add.at(counts, cells, np.add.reduceat(tally, starts))
            return
        # The runs are short and each is a cell of its own: differences are quicker.
        sums = np.add.accumulate(tally, out=tally).take(self._ends, mode="wrap")
        inside = sums[:-3]
        counts[1] = inside[0]
        np.subtract(inside[1:], inside[:-1], out=counts[2:-2])
        below, above, missing = np.diff(sums[-4:])
        counts[0], counts[-2], counts[-1] = below, above, missing


def learn_cells(sample: Floats) -> Cells:
    """Cells from a sample of a column; values that are missing or infinite are left out."""
    ordered = np.sort(sample[np.isfinite(sample)])
    centre, step, searched, keys = _keys(ordered)
    starts, masses = _cut(keys, searched=searched)
    middles = np.cumsum(masses) - masses / 2
    tail = max(_TAIL, 0.5 / (ordered.size + 1))
    inner = ndtri(np.clip(middles, tail, 1 - tail))
    ends = ndtri([tail, 1 - tail])
    bins = np.minimum((middles * SHAPE_BINS).astype(np.int64), SHAPE_BINS - 1)
    return Cells(
        centre=centre,
        step=step,
        searched=searched,
        starts=starts,
        scores=np.concatenate([ends[:1], inner, ends[1:], [0.0]]),
        shape=np.concatenate([[0], bins, [SHAPE_BINS - 1]]),
    )


def _keys(ordered: Floats) -> tuple[float, float, bool, Floats]:
    """By what a column is cut: its centre, its step, whether it is searched, and the keys of these values."""
    steps = steps_over(float(ordered[0]), float(ordered[-1])) if ordered.size else None
    if steps is not None:
        numbers = steps.number(ordered, extent(ordered), np.empty(ordered.size, dtype=np.intp)).astype(np.float64)
        if not _is_too_coarse(ordered, numbers, _MOST_OF_A_STEP):
            return steps.origin, steps.width, False, numbers
    centre = float(ordered[ordered.size // 2]) if ordered.size else 0.0
    codes = _codes(ordered, centre)
    if _is_too_coarse(ordered, codes, _MOST):
        # What spans many sizes, such as amounts, is crowded near zero and not in the middle.
        centre, codes = 0.0, _codes(ordered, 0.0)
    searched = _is_too_coarse(ordered, codes, _MOST)
    return centre, 0.0, searched, ordered if searched else codes


def _codes(values: Floats, centre: float) -> Floats:
    """The top halves as numbers from 0 to 65,535 that rise with the value."""
    with np.errstate(over="ignore"):
        top = (values - centre).astype(np.float32).view(np.uint32).astype(np.int64) >> 16
    # Minus zero (and what rounds to it) is zero.
    return np.where(top <= _MINUS_ZERO, top % _MINUS_ZERO + 0x8000, 0xFFFF - top).astype(np.float64)


def _is_too_coarse(ordered: Floats, codes: Floats, most: float) -> bool:
    """Whether some code holds much of the column, spread over values of which none is most of it."""
    _, starts, sizes = np.unique(codes, return_index=True, return_counts=True)
    for place in np.flatnonzero(sizes > most * codes.size):
        _, counts = np.unique(ordered[starts[place] : starts[place] + sizes[place]], return_counts=True)
        if counts.max() < 0.9 * sizes[place]:
            return True
    return False


def _cut(keys: Floats, *, searched: bool) -> tuple[Floats, Floats]:
    """Where cells start, and the share of the sample in each, from that below the first start on."""
    points, counts = np.unique(keys, return_counts=True)
    if not points.size:
        return np.zeros(0), np.zeros(1)
    after = np.nextafter(points, np.inf) if searched else points + 1
    if points.size <= _FEW:
        starts = np.union1d(points, after)
    else:
        shares = counts / keys.size
        cell = np.floor(CELLS * (np.cumsum(shares) - shares / 2))
        starts = np.concatenate([points[:1], points[1:][np.diff(cell) > 0], after[-1:]])
    if not searched:
        starts = starts[starts < _ALL_CODES]
    cell_of = np.searchsorted(starts, keys, side="right")
    return starts, np.bincount(cell_of, minlength=starts.size + 1) / keys.size
