"""What repeats of an experiment tell: means over seeds or folds with intervals, and differences with their evidence.

Repeats over folds share most of their training rows, so their spread understates the variance of the mean. Where folds are
given, the variance is that of Nadeau and Bengio 2003, "Inference for the generalization error", section 3: the spread of the
values times (1/n + test rows / training rows), which is 1 / (folds - 1) for a cross-validation.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from kept.measures.arrays import Floats
from kept.measures.intervals import Interval
from kept.measures.special import stdtr, stdtrit

# Below this share of the values' size a spread is that of rounding.
_ROUNDING = 1e-12


class Contrast(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of two means with its interval, and how surprising it would be were there none (two-sided)."""

    interval: Interval
    p: float | None
    """None where one value, or none, does not tell."""


def repeated_mean(values: Sequence[float], *, folds: int = 0, level: float = 0.95) -> Interval:
    """The mean of repeats with Student's interval; without one below two values.

    Args:
        values: one of each repeat, all finite.
        folds: how many folds the repeats go over; below 2, they are independent.
        level: of the interval.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        estimate = float(array[0]) if array.size else None
        return Interval(estimate=estimate, low=None, high=None, level=level, method="none", rows=array.size)
    return _interval(float(array.mean()), _error(array, folds), array.size - 1, array.size, _method("t", folds), level)


def paired_contrast(
    baseline: Sequence[float], other: Sequence[float], *, folds: int = 0, level: float = 0.95
) -> Contrast:
    """The mean of `other` minus that of `baseline`, whose values are of the same seeds or folds in the same order."""
    differences = np.asarray(other, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    if differences.size < 2:
        return Contrast(interval=repeated_mean(differences.tolist(), level=level), p=None)
    size = max(float(np.abs(baseline).max()), float(np.abs(other).max()))
    mean, error = float(differences.mean()), _error(differences, folds, size)
    made = _interval(mean, error, differences.size - 1, differences.size, _method("paired t", folds), level)
    return Contrast(interval=made, p=_surprise(mean, error, differences.size - 1))


def unpaired_contrast(baseline: Sequence[float], other: Sequence[float], *, level: float = 0.95) -> Contrast:
    """The mean of `other` minus that of `baseline`, where nothing pairs them (Welch 1947)."""
    one, two = np.asarray(baseline, dtype=np.float64), np.asarray(other, dtype=np.float64)
    rows = one.size + two.size
    if not (one.size and two.size):
        return Contrast(
            interval=Interval(estimate=None, low=None, high=None, level=level, method="none", rows=rows), p=None
        )
    mean = float(two.mean() - one.mean())
    if one.size < 2 or two.size < 2:
        return Contrast(
            interval=Interval(estimate=mean, low=None, high=None, level=level, method="none", rows=rows), p=None
        )
    size = max(float(np.abs(one).max()), float(np.abs(two).max()))
    parts = [_error(one, 0, size) ** 2, _error(two, 0, size) ** 2]
    error = math.sqrt(sum(parts))
    spread = parts[0] ** 2 / (one.size - 1) + parts[1] ** 2 / (two.size - 1)
    freedom = sum(parts) ** 2 / spread if spread else float(rows - 2)
    return Contrast(
        interval=_interval(mean, error, freedom, rows, "Welch's t", level), p=_surprise(mean, error, freedom)
    )


def holm(surprises: Sequence[float]) -> list[float]:
    """Each p made larger for their number, so that the chance of any false alarm keeps to the level (Holm 1979)."""
    adjusted = [0.0] * len(surprises)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(surprises)), key=surprises.__getitem__)):
        largest = max(largest, min(1.0, surprises[place] * (len(surprises) - rank)))
        adjusted[place] = largest
    return adjusted


def _error(values: Floats, folds: int, size: float | None = None) -> float:
    """The standard error of the mean; `size` is that of the values that these are differences of."""
    spread = float(values.std(ddof=1))
    if spread <= _ROUNDING * (float(np.abs(values).max()) if size is None else size):
        return 0.0
    return spread * math.sqrt(1 / values.size + (1 / (folds - 1) if folds > 1 else 0.0))


def _interval(mean: float, error: float, freedom: float, rows: int, method: str, level: float) -> Interval:
    width = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return Interval(estimate=mean, low=mean - width, high=mean + width, level=level, method=method, rows=rows)


def _surprise(mean: float, error: float, freedom: float) -> float:
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return float(2 * stdtr(freedom, -abs(mean) / error))


def _method(name: str, folds: int) -> str:
    return f"{name}, corrected for folds" if folds > 1 else name
