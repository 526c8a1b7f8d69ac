"""Standardised residuals of a window's statistics: standard normal, or less, when nothing has changed.

Each residual comes twice: one for rises and one for falls. For a continuous statistic they differ by the tolerance alone; for
a share of few rows each is made from its own exact tail, so that neither is larger than a normal one would be.
"""

import msgspec
import numpy as np

from kept.measures.arrays import Flags, Floats, Ints
from kept.measures.drift.reference import Reference
from kept.measures.special import betainc, betaincc, ndtri, stdtr

# Below so many degrees of freedom a series for Student's t is not right enough.
_FEW_DEGREES = 8.0
# Below this many expected rows of a rare share the normal curve is too thin-tailed.
_FEW_ROWS = 20.0
_RARE = 0.25
# A share that varies between windows as one of fewer rows than these would (rows that hang together, as in slow series) is
# too skewed for any curve fitted to a few windows: nothing is said of it.
_LEAST_ROWS = 5.0
# Beyond this nothing changes any more: the least positive float is 38 standard deviations out.
_FARTHEST = 37.0
# A known rate is a gamma mixture of so large a shape that it does not vary.
_KNOWN = 1e7


class Expected(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a statistic is compared with: a mean, how precisely it is known, and the shift that is tolerated."""

    mean: Floats
    precision: Floats | None
    tolerance: Floats


class Residuals(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One entry a statistic."""

    rise: Floats
    fall: Floats


def residuals(reference: Reference, away: Floats, rows: Floats, expected: Expected) -> Residuals:
    """The residuals of standardised statistics that rest on `rows` rows (0 where not defined: residual 0)."""
    known = rows > 0
    safe_rows = np.where(known, rows, 1.0)
    sampling = 1.0 / safe_rows + reference.variation.between
    variance = sampling + (0.0 if expected.precision is None else 1.0 / expected.precision)
    freedom = reference.variation.freedom * (sampling / reference.variation.total) ** 2
    small, turned = _smaller_share(reference, expected)
    shares = reference.layout.proportions
    rare = known & shares & (small < _RARE) & (small * safe_rows < _FEW_ROWS)
    known &= ~shares | rare | (small >= _LEAST_ROWS * sampling)
    # Tails are dear: those of rare shares come below, and of what is not known none is needed.
    estimated = np.flatnonzero((reference.variation.between > 0) & known & ~rare)
    gap, error = away - expected.mean, np.sqrt(variance)
    rise = _normal((gap - expected.tolerance) / error, estimated, freedom)
    # Where nothing is tolerated, both sides are one.
    tolerant = expected.tolerance.any()
    fall = _normal((gap + expected.tolerance) / error, estimated, freedom) if tolerant else rise.copy()
    if rare.any():
        rise[rare], fall[rare] = _rare_tails(reference, away, safe_rows, expected, turned, rare)
    if reference.variation.remembers:
        # What is remembered comes again: each window adds only what is its own.
        own = np.sqrt(variance / (variance + reference.variation.lasting - reference.variation.between))
        rise, fall = rise * own, fall * own
    return Residuals(rise=np.where(known, rise, 0.0), fall=np.where(known, fall, 0.0))


def _normal(ratio: Floats, estimated: Ints, freedom: Floats) -> Floats:
    """The normal residual of the same tail probability; where variation was estimated, the ratio is Student's t."""
    found = ratio.copy()
    found[estimated] = of_student(ratio[estimated], np.maximum(freedom[estimated], 2.0))
    return np.clip(found, -_FARTHEST, _FARTHEST)


def of_student(ratio: Floats, freedom: Floats) -> Floats:
    """The standard normal number of the same tail probability as one of Student's t.

    From eight degrees of freedom on by Hill's series in 1 / freedom (1970, Communications of the ACM 13, algorithm 395), right to 2e-5
    up to 12 and six times as quick as the distribution itself, by which fewer degrees go.
    """
    among = freedom - 0.5
    scale = 48 * among**2
    square = among * np.log1p(ratio**2 / freedom)
    root = np.sqrt(square)
    fourth = (((-0.4 * square - 3.3) * square - 24) * square - 85.5) / (0.8 * square**2 + 100 + scale)
    found = root + root * (fourth + square + 3) / scale
    few = freedom < _FEW_DEGREES
    if few.any():
        found[few] = -ndtri(np.maximum(stdtr(freedom[few], -np.abs(ratio[few])), 1e-300))
    return np.copysign(found, ratio)


def _smaller_share(reference: Reference, expected: Expected) -> tuple[Floats, Flags]:
    """Of each share the smaller one of it and its complement, and whether it is the complement (turned round)."""
    share = np.clip(reference.yard.mean + reference.yard.spread * expected.mean, 0.0, 1.0)
    turned = share > 0.5
    return np.where(turned, 1 - share, share), turned


def _rare_tails(
    reference: Reference, away: Floats, rows: Floats, expected: Expected, turned: Flags, rare: Flags
) -> tuple[Floats, Floats]:
    """Tails of a Poisson count whose rate is a gamma variable (a negative binomial).

    The rate is spread by what is not known of it (half a row more than was seen, Jeffreys' prior) and by how much it varies
    between windows.
    """
    flip = turned[rare]
    n, spread = rows[rare], reference.yard.spread[rare]
    mean, value = reference.yard.mean[rare], reference.yard.mean[rare] + spread * away[rare]
    centre = np.clip(mean + spread * expected.mean[rare], 0.0, 1.0)
    count = np.rint(n * np.where(flip, 1 - value, value))
    rate = np.where(flip, 1 - centre, centre)
    tolerated = spread * expected.tolerance[rare]
    between = reference.variation.between[rare] * spread**2
    uncertain = np.zeros_like(rate)
    if expected.precision is not None:
        precision = expected.precision[rare]
        seen = rate * precision + 0.5
        rate, uncertain = seen / precision, seen / precision**2
    more = _tail_of_more(count, n, rate + tolerated, uncertain + between)
    less = _tail_of_less(count, n, np.maximum(rate - tolerated, 1e-12), uncertain + between)
    rise, fall = -_quantile(more), _quantile(less)
    return np.where(flip, -fall, rise), np.where(flip, -rise, fall)


def _tail_of_more(count: Floats, rows: Floats, rate: Floats, variance: Floats) -> Floats:
    """The chance of at least so many."""
    shape, odds = _gamma(rows, rate, variance)
    some = count >= 1
    found = np.ones(count.size)
    found[some] = betainc(count[some], shape[some], odds[some])
    return found


def _tail_of_less(count: Floats, rows: Floats, rate: Floats, variance: Floats) -> Floats:
    """The chance of at most so many."""
    shape, odds = _gamma(rows, rate, variance)
    return np.asarray(betaincc(count + 1.0, shape, odds))


def _gamma(rows: Floats, rate: Floats, variance: Floats) -> tuple[Floats, Floats]:
    rate = np.maximum(rate, 1e-12)
    shape = np.minimum(rate**2 / np.maximum(variance, 1e-300), _KNOWN)
    return shape, rows * rate / (rows * rate + shape)


def _quantile(tail: Floats) -> Floats:
    return np.asarray(np.clip(ndtri(np.clip(tail, 1e-300, 1.0)), -_FARTHEST, _FARTHEST))
