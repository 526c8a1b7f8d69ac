"""Order-independent fingerprints of sets of metric points, to compare a copy with its source."""

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

Marks = NDArray[np.uint64]
_ONE, _TWO, _THREE = (np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_NOT_A_NUMBER = np.uint64(0x7FF8_DEAD_0000_0001)


def seed_of(run: str, metric: str) -> int:
    """The number by which the points of one metric of one run differ from equal points of others."""
    return xxhash.xxh64_intdigest(f"{run}\0{metric}".encode())


def marks_of(
    seeds: Sequence[int] | Marks,
    at: Sequence[int],
    step: Sequence[int],
    value: Sequence[float],
    nan: Sequence[int] | None = None,
) -> Marks:
    """One number of 64 bits for each point: the mixing of Steele, Lea and Flood (2014) over seed, time, step, value."""
    numbers = np.asarray(value, dtype=np.float64) + 0.0  # -0.0 is 0.0, as databases hold it
    bits = numbers.view(np.uint64).copy()
    is_nan = np.isnan(numbers) if nan is None else np.asarray(nan, dtype=bool)
    bits[is_nan] = _NOT_A_NUMBER
    mixed = _mixed(np.asarray(seeds, dtype=np.uint64))
    mixed = _mixed(mixed + np.asarray(at, dtype=np.int64).view(np.uint64))
    mixed = _mixed(mixed + np.asarray(step, dtype=np.int64).view(np.uint64))
    return _mixed(mixed + bits)


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
