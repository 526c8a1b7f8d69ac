"""Sequential test of champion against challenger: it may be looked at as often as one likes.

Asymptotic confidence sequences with the normal mixture boundary (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon
2021; Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, "Time-uniform central limit theory"): the interval covers
the true difference at all times at once, up to alpha.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Array
from kept.measures.special import ndtri, stdtrit

LEAST_OUTCOMES = 100
# What a window does to all its outcomes, as a share of their variance, where there is no second one to tell: the boundary is so
# wide for it that wrong decisions stay below alpha up to several times this share.
_A_WINDOWS_SHARE = 0.005
# The boundary takes the variance for known. Where a few outcomes of many make it, as at a success of 95%, it is too small just
# when an arm was lucky: counted as if so many more of them had been seen, wrong decisions stay below alpha.
PSEUDO_EVENTS = 5.0

Verdict = Literal["promote", "roll back", "continue"]


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one arm's outcomes; arms of parts add up to the arm of the whole."""

    outcomes: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Array) -> "Arm":
        """The sums of these outcomes."""
        values = np.asarray(values, dtype=np.float64)
        return cls(outcomes=values.size, total=float(values.sum()), squares=float(values @ values))

    def __add__(self, other: "Arm") -> "Arm":
        return Arm(
            outcomes=self.outcomes + other.outcomes,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )

    @property
    def mean(self) -> float:
        """The mean outcome; NaN without one."""
        return self.total / self.outcomes if self.outcomes else float("nan")

    def variance(self, spread: float) -> float:
        """The variance of an outcome, as if five more of them had been a `spread` away from the mean."""
        between = max(self.squares - self.total * self.mean, 0.0)
        return (between + PSEUDO_EVENTS * spread**2) / (self.outcomes + 2)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How much better the challenger is (mean outcome, higher is better), with the interval that holds at all times.

    The interval is None until there are enough outcomes, the difference until there is one on each side.
    """

    verdict: Verdict
    difference: float | None
    low: float | None
    high: float | None
    alpha: float
    margin: float
    champion_outcomes: int
    challenger_outcomes: int


def half_width(variance: float, *, tau: float, alpha: float) -> float:
    """The half-width of the confidence sequence of an estimate whose variance is `variance` at this look.

    sqrt(V (V + q) / q (2 log(1/alpha) + log((V + q) / V))) with q = tau squared; `tau` is the effect worth seeing: the
    interval is tightest when the estimate's standard error is a fraction of it.
    """
    if not (tau > 0 and 0 < alpha < 1):
        raise Invalid(f"tau {tau} and alpha {alpha} are out of range", where="canary", fix="tau > 0, 0 < alpha < 1")
    q = tau * tau
    boundary = 2 * math.log(1 / alpha) + math.log((variance + q) / variance)
    return math.sqrt(variance * (variance + q) / q * boundary)


def compare_arms(
    champion: Arm, challenger: Arm, *, tau: float, margin: float = 0.0, alpha: float = 0.05, spread: float = 1.0
) -> Comparison:
    """Two arms on different rows. Outcomes are better when higher (give losses with their sign turned).

    Roll back when the upper end is below 0, promote when the lower end is above `-margin` (where both hold, roll back),
    else continue; undecided until each arm has 100 outcomes. `spread` is how far an outcome can be from the usual one.
    """
    _check(margin, spread)
    arms = (champion, challenger)
    if min(arm.outcomes for arm in arms) < LEAST_OUTCOMES:
        width = math.inf
    else:
        variance = sum(arm.variance(spread) / arm.outcomes for arm in arms)
        width = half_width(variance, tau=tau, alpha=alpha)
    return _decide(challenger.mean - champion.mean, width, champion, challenger, alpha, margin)


def compare_pairs(
    differences: Arm,
    *,
    tau: float,
    margin: float = 0.0,
    alpha: float = 0.05,
    spread: float = 1.0,
    windows: Sequence[Arm] = (),
) -> Comparison:
    """Both models on the same rows (a shadow): the outcomes are challenger minus champion, row by row.

    Rows of one window hang together: with `windows` (the same outcomes, an arm for each) the variance is that between windows
    where it is the larger one, since each is one observation. Before the second is over, a share of the variance is taken for
    the first one's own.
    """
    _check(margin, spread)
    if differences.outcomes < LEAST_OUTCOMES:
        width = math.inf
    else:
        each = differences.variance(spread)
        variance = max(each / differences.outcomes, _between(windows, alpha, each) if windows else 0.0)
        width = half_width(variance, tau=tau, alpha=alpha)
    return _decide(differences.mean, width, differences, differences, alpha, margin)


def _between(windows: Sequence[Arm], alpha: float, each: float) -> float:
    """The variance of the mean outcome as windows tell it: by their sums, which a cluster-robust variance is made of.

    Few windows know it badly: it is larger by what makes of a normal quantile Student's. How many there are is reckoned by their
    outcomes (Kish 1965, section 8.2), so that one which has just begun is hardly any. Fewer than two tell nothing: a share of
    the variance of `each` outcome is assumed then.
    """
    seen = [one for one in windows if one.outcomes]
    whole = sum(seen, start=Arm())
    freedom = whole.outcomes**2 / sum(one.outcomes**2 for one in seen) - 1
    if freedom < 1:
        return _A_WINDOWS_SHARE * each
    apart = sum((one.total - whole.mean * one.outcomes) ** 2 for one in seen)
    student = float(stdtrit(freedom, 1 - alpha / 2) / ndtri(1 - alpha / 2))
    return (freedom + 1) / freedom * apart / whole.outcomes**2 * student**2


def _check(margin: float, spread: float) -> None:
    if margin < 0 or not spread > 0:
        raise Invalid(f"margin {margin} or spread {spread} is too small", where="canary", fix="margin >= 0, spread > 0")


def _decide(difference: float, width: float, champion: Arm, challenger: Arm, alpha: float, margin: float) -> Comparison:
    verdict: Verdict = "continue"
    if difference + width < 0:
        verdict = "roll back"
    elif difference - width > -margin:
        verdict = "promote"
    undecidable = math.isinf(width)
    return Comparison(
        verdict=verdict,
        difference=None if math.isnan(difference) else difference,
        low=None if undecidable else difference - width,
        high=None if undecidable else difference + width,
        alpha=alpha,
        margin=margin,
        champion_outcomes=champion.outcomes,
        challenger_outcomes=challenger.outcomes,
    )
