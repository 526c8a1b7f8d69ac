"""Input limits of an estimator (what may be missing, how large values may be), found by trying it rather than by its class."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.answers import Answers
from kept.packaging.manifest import Limits
from kept.packaging.rows import Matrix

# A double whose nearest float32 is still finite is at most this: halfway to 2^128 (the tie would round up).
FLOAT32_LIMIT = float(np.nextafter(2.0**128 * (1 - 2.0**-25), 0.0))

_BOUNDS = (np.inf, float(np.finfo(np.float64).max), 1e300, FLOAT32_LIMIT, 1e30, 1e18, 1e15, 1e12, 1e9, 1e6)


def find_limits(ask: Callable[[Matrix], Answers], sample: Matrix) -> Limits:
    """Which columns may be missing, and how large their values may be, so that the answer is still a finite number.

    One column at a time is changed in a row that the estimator answers for. A bound is the largest of a few marks
    (infinity, the largest double, 1e300, float32's end, 1e30, ...) that is taken with either sign.

    Raises:
        Invalid: the estimator answers for none of the first rows of the sample.
    """
    base = _good_row(ask, sample)
    width = sample.shape[1]
    missing = _taken(ask, base, np.nan, np.ones(width, dtype=bool))
    largest: list[float | None] = [0.0] * width
    open_columns = np.ones(width, dtype=bool)
    for bound in _BOUNDS:
        taken = _taken(ask, base, bound, open_columns) & _taken(ask, base, -bound, open_columns) & open_columns
        for column in np.flatnonzero(taken):
            largest[column] = None if np.isinf(bound) else bound
        open_columns &= ~taken
        if not open_columns.any():
            break
    for column in np.flatnonzero(open_columns):
        seen = np.abs(sample[:, column])
        largest[column] = float(np.max(seen[np.isfinite(seen)], initial=0.0))
    return Limits(missing=tuple(bool(flag) for flag in missing), largest=tuple(largest))


def narrower(limits: Limits, coded: frozenset[int]) -> Iterator[Limits]:
    """Tighter and tighter limits for columns of numbers, by the same marks; those of the columns with codes stay."""
    for bound in _BOUNDS[1:]:
        largest = tuple(
            found if place in coded or (found is not None and found <= bound) else bound
            for place, found in enumerate(limits.largest)
        )
        yield Limits(missing=limits.missing, largest=largest)


def _good_row(ask: Callable[[Matrix], Answers], sample: Matrix) -> Matrix:
    # Complete rows first: what they show of one column is not mixed with what is missing in another.
    order = np.argsort(np.isnan(sample).sum(axis=1), kind="stable")[:50]
    for row in order:
        if _accepts(ask, sample[[row]]):
            return sample[[row]]
    what = f"the estimator answers for none of the sample's rows ({_refusal(ask, sample[order[:1]])})"
    raise Invalid(what, where="sample", fix="Give an estimator that is fitted, and rows like the training rows")


def _taken(
    ask: Callable[[Matrix], Answers], base: Matrix, value: float, columns: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    width = base.shape[1]
    asked = np.flatnonzero(columns)
    rows = np.repeat(base, len(asked), axis=0)
    rows[np.arange(len(asked)), asked] = value
    result = np.zeros(width, dtype=bool)
    if len(asked) and _accepts(ask, rows):
        result[asked] = True
        return result
    for place, column in enumerate(asked):
        result[column] = _accepts(ask, rows[[place]])
    return result


def _accepts(ask: Callable[[Matrix], Answers], rows: Matrix) -> bool:
    return not _refusal(ask, rows)


def _refusal(ask: Callable[[Matrix], Answers], rows: Matrix) -> str:
    """What stands against an answer; empty when there is one."""
    try:
        return "" if np.isfinite(ask(rows)).all() else "its answer is no finite number"
    except (ValueError, TypeError, OverflowError, FloatingPointError, Invalid) as error:
        return next(iter(str(error).splitlines()), "").rstrip(".") or type(error).__name__
