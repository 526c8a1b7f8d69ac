"""Equal steps: how the values of a column that is spread evenly enough are numbered, in two operations and without a cast.

A step is a power of two. Far enough from zero the last bit of a 64-bit float is worth just one step: added to an
`offset` of that size, a value is rounded to the nearest step (a tie to the even one), and the low bits of the sum are
the step's number.
"""

import math
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.measures.arrays import Array, Floats, Ints

STEPS = 8_192
# What follows the numbers of the steps.
BELOW_ALL, ABOVE_ALL, MISSING = STEPS, STEPS + 1, STEPS + 2

# The steps reach further than the sample by half of its span, so that later windows hardly ever leave them.
_ROOM = 1.5
_FARTHEST = 2.0**50
# As an array, since to see what a number is takes numpy three times as long.
_LOW_BITS = np.array(STEPS - 1)
_LEAST_STEP, _LARGEST_STEP = 2.0**-900, 2.0**900


class Extent(NamedTuple):
    """The least and the greatest of some values (NaN where all are missing), and whether some are missing."""

    low: float
    high: float
    missing: bool


def extent(values: Array) -> Extent:
    """The extent of at least one value."""
    low, high = float(np.minimum.reduce(values)), float(np.maximum.reduce(values))
    if low == low:  # noqa: PLR0124 - only NaN differs from itself
        return Extent(low, high, missing=False)
    return Extent(float(np.fmin.reduce(values)), float(np.fmax.reduce(values)), missing=True)


class Steps(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Steps of one width, the first one about `origin`."""

    origin: float
    width: float

    @cached_property
    def _last(self) -> float:
        return self.origin + (STEPS - 1) * self.width

    @cached_property
    def _offset(self) -> Array:
        return np.array(self.width * (3 * 2.0**51) - self.origin)

    def number(self, values: Array, among: Extent, out: NDArray[np.intp]) -> NDArray[np.intp]:
        """The step of each value, into `out`; what lies outside is in the first or the last one.

        Infinite and missing values have numbers of their own. `among` is the extent of the values.
        """
        inside = not among.missing and among.low >= self.origin and among.high <= self._last
        wide = out.view(np.float64)
        within = values if inside else np.clip(values, np.float64(self.origin), np.float64(self._last), out=wide)
        np.add(within, self._offset, wide)
        np.bitwise_and(out, _LOW_BITS, out)
        if not inside:
            for special, there, number in (
                (np.isneginf, among.low == -np.inf, BELOW_ALL),
                (np.isposinf, among.high == np.inf, ABOVE_ALL),
                (np.isnan, among.missing, MISSING),
            ):
                if there:
                    out[special(values)] = number
        return out

    def edges(self, numbers: Ints) -> Floats:
        """The least value of each of these steps."""
        ties = self.origin + (numbers - 0.5) * self.width
        return np.where(numbers % 2, np.nextafter(ties, np.inf), ties)


def steps_over(low: float, high: float) -> Steps | None:
    """Steps for values between these; None where 64-bit floats do not have such steps."""
    span = high - low
    if not (_LEAST_STEP < span / STEPS < _LARGEST_STEP):
        return None
    width = 2.0 ** math.ceil(math.log2(_ROOM * span / STEPS))
    middle = low + span / 2
    if abs(middle) / width > _FARTHEST:
        return None
    # Twice a whole number, so that a tie goes to the step of even number.
    return Steps(origin=2.0 * round((middle / width - STEPS / 2) / 2) * width, width=width)
