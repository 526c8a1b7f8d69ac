"""Numbers that tell sets of points apart, whatever their order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.uint64]
_ONE, _TWO, _THREE = (np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_NOT_A_NUMBER = np.uint64(0x7FF8_DEAD_0000_0001)


def marks_of(at: Sequence[int], step: Sequence[int], value: Sequence[float], nan: Sequence[int] | None = None) -> Marks:
    """One number of 64 bits for each point: the mixing of Steele, Lea and Flood (2014) over time, step and value."""
    numbers = np.asarray(value, dtype=np.float64) + 0.0  # -0.0 is 0.0, as databases hold it
    bits = numbers.view(np.uint64).copy()
    is_nan = np.isnan(numbers) if nan is None else np.asarray(nan, dtype=bool)
    bits[is_nan] = _NOT_A_NUMBER
    mixed = _mixed(np.asarray(at, dtype=np.int64).view(np.uint64))
    mixed = _mixed(mixed + np.asarray(step, dtype=np.int64).view(np.uint64))
    return _mixed(mixed + bits)


def marks_of_rows(rows: Sequence[Any]) -> Marks:
    """The same of rows of time, step, value and whether not a number."""
    if not rows:
        return np.empty(0, dtype=np.uint64)
    at, step, value, nan = zip(*rows, strict=True)
    return marks_of(at, step, value, nan)


def missing(wanted: Sequence[Marks], held: Sequence[Marks]) -> tuple[int, int]:
    """How many different points are wanted, and how many of them are not held."""
    empty = np.empty(0, dtype=np.uint64)
    asked = np.unique(np.concatenate([empty, *wanted]))
    absent = np.setdiff1d(asked, np.concatenate([empty, *held]), assume_unique=False)
    return len(asked), len(absent)


def _mixed(numbers: Marks) -> Marks:
    with np.errstate(over="ignore"):
        numbers = numbers + _ONE
        numbers = (numbers ^ (numbers >> np.uint64(30))) * _TWO
        numbers = (numbers ^ (numbers >> np.uint64(27))) * _THREE
        return numbers ^ (numbers >> np.uint64(31))
