"""Rows of a table as numbers that a linear model can learn from: to tell traffic apart, or to foresee a loss."""

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Array, Flags, Floats

# Beyond this many numeric columns, products of two are left to the first ones: they grow with the square.
MULTIPLIED = 12
_INDICATED = 8
# A wild value must not carry a whole fit.
_FARTHEST = 5.0


class Covariates(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The values of some rows, shape `(rows, columns)`; NaN is missing.

    A categorical column holds a number that stands for its value (`categorical` says which columns those are).
    """

    columns: tuple[str, ...] = ()
    categorical: tuple[bool, ...] = ()
    values: Array = msgspec.field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.values.shape[0])

    def take(self, rows: Array | slice) -> "Covariates":
        """Some of the rows."""
        return msgspec.structs.replace(self, values=self.values[rows])

    def and_then(self, other: "Covariates") -> "Covariates":
        """Both, one after the other; the later ones alone where the columns are not the same."""
        if (self.columns, self.categorical) != (other.columns, other.categorical):
            return other
        return msgspec.structs.replace(self, values=np.concatenate([self.values, other.values]))


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """The column of which most of today's rows hold a value that the reference did not have."""

    column: str
    share: float


def design(reference: Covariates, current: Covariates) -> tuple[Floats, Floats]:
    """Both as rows of a design matrix without a constant, by one rule learned from both together.

    Numbers are standardised by median and interquartile range, with their squares and, of the first 12, products; what
    is missing is set to the middle and marked. Categories become an indicator each, of the 8 most frequent values.
    """
    if (reference.columns, reference.categorical) != (current.columns, current.categorical):
        raise Invalid("the columns are not the same", where="covariates", fix="Give both in one form")
    both = np.concatenate([reference.values, current.values]).astype(np.float64)
    parts: list[Floats] = []
    numbers: list[Floats] = []
    for place, categorical in enumerate(reference.categorical):
        column = both[:, place]
        missing = ~np.isfinite(column)
        if 0 < np.count_nonzero(missing) < missing.size:
            parts.append(missing.astype(np.float64)[:, None])
        if categorical:
            values, counts = np.unique(column[~missing], return_counts=True)
            frequent = values[np.argsort(-counts, kind="stable")[:_INDICATED]]
            parts.append((column[:, None] == frequent).astype(np.float64))
        elif not missing.all():
            numbers.append(_standard(column, missing))
    parts += [number[:, None] for number in numbers]
    parts += [number[:, None] ** 2 - 1 for number in numbers]
    few = numbers[:MULTIPLIED]
    parts += [(one * other)[:, None] for place, one in enumerate(few) for other in few[place + 1 :]]
    whole = np.concatenate(parts, axis=1) if parts else np.zeros((both.shape[0], 0))
    spread = whole.std(axis=0)
    whole = whole[:, spread > 1e-9] / spread[spread > 1e-9]
    return whole[: reference.rows], whole[reference.rows :]


def farthest_outside(reference: Covariates, current: Covariates) -> Outside | None:
    """Where today's rows leave what the reference covers: beyond its least and greatest number, or values it never had."""
    found: list[Outside] = []
    for place, (name, categorical) in enumerate(zip(reference.columns, reference.categorical, strict=True)):
        before, now = reference.values[:, place], current.values[:, place]
        known, here = before[np.isfinite(before)], now[np.isfinite(now)]
        if not here.size:
            continue
        if categorical:
            beyond = ~np.isin(here, known)
        elif known.size:
            beyond = (here < known.min()) | (here > known.max())
        else:
            beyond = np.ones(here.size, dtype=bool)
        found.append(Outside(column=name, share=float(np.count_nonzero(beyond)) / max(current.rows, 1)))
    return max(found, key=lambda one: one.share, default=None)


def _standard(column: Floats, missing: Flags) -> Floats:
    known = column[~missing]
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    width = (high - low) / 1.349 or float(known.std()) or 1.0
    return np.clip(np.where(missing, 0.0, (np.where(missing, 0.0, column) - middle) / width), -_FARTHEST, _FARTHEST)
