"""How a table is counted: the cells of its numeric columns, the dictionaries of the others, the pairs."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.digests import digest_bytes
from kept.core.errors import Invalid
from kept.measures.arrays import Array, Floats, Ints, encode
from kept.measures.drift.categories import Categories, Coded, learn_categories
from kept.measures.drift.cells import SHAPE_BINS, Cells, learn_cells

Kind = Literal["numeric", "categorical"]
Table = Mapping[str, Array | Coded]

# Pairs grow with the square of the columns; beyond this many the first ones in the declared order are paired.
PAIRED_COLUMNS = 48
SAMPLE_ROWS = 200_000

# The least standard deviation of a pair's correlation: near-copies of a column would else alarm on rounding.
LEAST_PAIR_NOISE = 0.02
LARGEST_CORRELATION = 0.99


class Grid(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True, tag="kept.drift-grid.1"):
    """What a count means: numeric columns first, then categorical ones, each in the order they were declared.

    A window's counts are one flat array: each column's cells, then its missing values.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    cells: tuple[Cells, ...]
    categories: tuple[Categories, ...]
    pair_noise: Floats

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in the order of the flat counts."""
        return self.numeric + self.categorical

    @property
    def paired(self) -> int:
        """How many numeric columns are paired with each other: the first ones."""
        return min(len(self.numeric), PAIRED_COLUMNS)

    @cached_property
    def offsets(self) -> Ints:
        """Where each column's counts start, and where the last one's end."""
        sizes = [each.size + 1 for each in self.cells] + [each.size + 1 for each in self.categories]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)

    @cached_property
    def scores(self) -> Floats:
        """The normal score of each flat numeric cell, 0 for missing ones."""
        return np.concatenate([np.zeros(0), *(each.scores for each in self.cells)])

    @cached_property
    def squares(self) -> Floats:
        """Their squares."""
        return np.asarray(self.scores**2)

    @cached_property
    def whole_scores(self) -> Floats:
        """The same in whole 32nds, as the cross products use them."""
        return np.concatenate([np.zeros(0), *(each.whole_scores for each in self.cells)])

    @cached_property
    def present(self) -> Floats:
        """1 for each flat numeric cell, 0 for those of missing values."""
        return np.concatenate([np.zeros(0), *(np.append(np.ones(each.size), 0.0) for each in self.cells)])

    @cached_property
    def uppers(self) -> Floats:
        """The value at which each flat numeric cell ends."""
        ends = [np.concatenate([[-np.inf], each.edges, [np.inf, np.inf, np.inf]]) for each in self.cells]
        return np.concatenate([np.zeros(0), *ends])

    @cached_property
    def parts(self) -> Ints:
        """The part (shape bin, top category or unseen) each flat cell belongs to, numbered through; the last is none."""
        found, begin = [], 0
        for each in self.cells:
            found.append(np.append(each.shape + begin, -1))
            begin += SHAPE_BINS
        for values in self.categories:
            part = np.full(values.size + 1, -1, dtype=np.int64)
            part[: values.top] = np.arange(begin, begin + values.top)
            part[values.common : values.size] = begin + values.top
            found.append(part)
            begin += values.top + 1
        flat = np.concatenate(found)
        return np.where(flat < 0, begin, flat)

    @cached_property
    def part_sizes(self) -> Ints:
        """How many parts each column has."""
        return np.array([SHAPE_BINS] * len(self.numeric) + [each.top + 1 for each in self.categories], dtype=np.int64)

    @cached_property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The first and the second column of each pair."""
        return np.triu_indices(self.paired, 1)

    @cached_property
    def part_runs(self) -> tuple[Ints, Ints]:
        """The flat cells at which the part changes, and the part from there on: few, so sums over them are quick."""
        starts = np.flatnonzero(np.diff(self.parts, prepend=-1))
        return starts, self.parts[starts]

    @cached_property
    def digest(self) -> str:
        """What tells this grid from any other: counts of different grids do not add."""
        return digest_bytes(encode(self))


def learn_grid(columns: Table, kinds: Mapping[str, Kind]) -> Grid:
    """A grid from reference rows: numeric cells from evenly spaced ones (at most 200,000), dictionaries from all."""
    rows = check_table(columns, tuple(kinds))
    if not kinds or not rows:
        raise Invalid("a reference needs at least one column and one row", where="reference", fix="Give it rows")
    numeric = tuple(name for name, kind in kinds.items() if kind == "numeric")
    categorical = tuple(name for name in kinds if name not in numeric)
    step = -(-rows // SAMPLE_ROWS)
    samples = [as_numbers(columns[name], name)[::step].astype(np.float64) for name in numeric]
    cells = tuple(learn_cells(sample) for sample in samples)
    paired = min(len(numeric), PAIRED_COLUMNS)
    scores = np.array([each.scores[each.place(sample)] for each, sample in zip(cells[:paired], samples, strict=False)])
    return Grid(
        numeric=numeric,
        categorical=categorical,
        cells=cells,
        categories=tuple(learn_categories(columns[name]) for name in categorical),
        pair_noise=_pair_noise(scores) if paired > 1 else np.zeros(0),
    )


def check_table(columns: Table, names: tuple[str, ...]) -> int:
    """The number of rows; `Invalid` when a column is missing or they differ in length."""
    missing = [name for name in names if name not in columns]
    if missing:
        raise Invalid(f"columns are missing: {', '.join(missing)}", where="table", fix="Give all declared columns")
    lengths = {len(columns[name]) for name in names}
    if len(lengths) > 1:
        raise Invalid(f"columns have {sorted(lengths)} rows", where="table", fix="Give columns of one length")
    return lengths.pop() if lengths else 0


def as_numbers(column: Array | Coded, name: str) -> Array:
    """A numeric column as an array of numbers; None becomes NaN."""
    if isinstance(column, Coded):
        raise Invalid("it is declared numeric but holds categories", where=name, fix="Declare it categorical")
    if column.dtype.kind in "fiub":
        return column
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise Invalid(f"it is declared numeric, but {error}", where=name, fix="Declare it categorical") from error


def _pair_noise(scores: Floats) -> Floats:
    """The standard deviation of a row's part in each correlation, upper triangle row by row.

    The influence function of a correlation of standardised variables: xy - r (x^2 + y^2) / 2 (Devlin, Gnanadesikan and
    Kettenring 1975), its mean square written in moments.
    """
    rows = scores.shape[1]
    centred = scores - scores.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    z = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    correlation, squares = z @ z.T / rows, z**2
    second, third = squares @ squares.T / rows, (z * squares) @ z.T / rows
    fourth = (squares**2).mean(axis=1)
    mean_square = (
        second + correlation**2 / 4 * (fourth[:, None] + fourth + 2 * second) - correlation * (third + third.T)
    )
    upper = np.triu_indices(scores.shape[0], 1)
    return np.asarray(np.maximum(np.sqrt(np.maximum(mean_square[upper], 0.0)), LEAST_PAIR_NOISE))
