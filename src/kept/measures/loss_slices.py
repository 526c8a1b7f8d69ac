"""Rows cut into slices by their columns, one at a time and two together, to see where a loss is."""

from itertools import combinations, islice, pairwise

import msgspec
import numpy as np

from kept.measures.arrays import Flags, Floats, Ints
from kept.measures.covariates import Covariates

_VALUES = 10
_QUARTERS = (0.25, 0.5, 0.75)
_PAIRED = 6


class Cut(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One column cut into slices: which slice each row is in, and the bounds or the value of each.

    A slice is `(low, high)` of a number (from low up to, not including, high), `(value, value)` of a category,
    `(nan, nan)` where it is missing, and `(-inf, inf)` for all other categories.
    """

    column: str
    place: Ints
    bounds: tuple[tuple[float, float], ...]


def cut_columns(before: Covariates, now: Covariates) -> list[tuple[Cut, Cut]]:
    """Each column of both sides in the same slices: quarters of a number before, the ten most frequent categories."""
    found = []
    for at, (name, categorical) in enumerate(zip(before.columns, before.categorical, strict=True)):
        values = before.values[:, at], now.values[:, at]
        bounds = _categories(np.concatenate(values)) if categorical else _quarters(values[0])
        if len(bounds) > 1:
            one, other = (
                Cut(column=name, place=_place(each, bounds, categorical=categorical), bounds=tuple(bounds))
                for each in values
            )
            found.append((one, other))
    return found


class Slice(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Rows that share one or two columns' slices: `parts` are the columns with their bounds."""

    parts: tuple[tuple[str, tuple[float, float]], ...]
    before: Flags
    now: Flags


def slices_of(cuts: list[tuple[Cut, Cut]], *, least: int, most: int) -> list[Slice]:
    """All slices with enough rows now: of single columns, then of two of the first six, at most so many."""
    single = [
        Slice(parts=((one.column, bound),), before=one.place == index, now=other.place == index)
        for one, other in cuts
        for index, bound in enumerate(one.bounds)
    ]
    single = [each for each in single if np.count_nonzero(each.now) >= least]
    first = {one.column for one, _ in cuts[:_PAIRED]}
    together = (
        Slice(parts=one.parts + other.parts, before=one.before & other.before, now=one.now & other.now)
        for one, other in combinations([each for each in single if each.parts[0][0] in first], 2)
        if one.parts[0][0] != other.parts[0][0]
    )
    enough = (each for each in together if np.count_nonzero(each.now) >= least)
    return single[:most] + list(islice(enough, max(most - len(single), 0)))


def _quarters(values: Floats) -> list[tuple[float, float]]:
    known = values[np.isfinite(values)]
    if not known.size:
        return []
    edges = [-np.inf, *np.unique(np.quantile(known, _QUARTERS)), np.inf]
    return [*((float(low), float(high)) for low, high in pairwise(edges)), (np.nan, np.nan)]


def _categories(values: Floats) -> list[tuple[float, float]]:
    names, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    frequent = names[np.argsort(-counts, kind="stable")[:_VALUES]]
    return [*((float(each), float(each)) for each in frequent), (-np.inf, np.inf), (np.nan, np.nan)]


def _place(values: Floats, bounds: list[tuple[float, float]], *, categorical: bool) -> Ints:
    missing = len(bounds) - 1
    if categorical:
        found = np.full(values.size, missing - 1, dtype=np.int64)
        for index, (value, _) in enumerate(bounds[:-2]):
            found[values == value] = index
    else:
        found = np.searchsorted([low for low, _ in bounds[1:-1]], values, side="right").astype(np.int64)
    found[np.isnan(values)] = missing
    return found
