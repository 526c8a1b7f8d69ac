"""The label detector: an alarm when a loss runs above its level, with a stated rate of false alarms.

Betting e-processes (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting") added up
by the Shiryaev-Roberts recursion (Shin, Ramdas and Rinaldo 2022, "E-detectors").
"""

import math

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Array, Floats

# The share of the wealth that a label can cost at most: 0.64, and each next bet half of it, down to 0.01. Smaller bets
# see only rises that do not matter, and their values add to the false alarms.
_LARGEST_BET = 0.64
_BETS = 7


class LabelDetector(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag="kept.label-detector.1"):
    """Where the detector stands: one Shiryaev-Roberts value a bet, as logarithms, since it started."""

    level: float
    budget: float
    labels: int
    log_values: Floats

    @property
    def value(self) -> float:
        """The average over the bets: an alarm is due at or above the budget."""
        return math.exp(min(float(_log_mean(self.log_values)), 700.0))


class LabelFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch of labels showed. `alarm_at` is the index in the batch of the first label at which it alarmed."""

    alarm: bool
    alarm_at: int | None
    value: float
    budget: float
    labels: int
    mean_loss: float | None


class LossPart(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a stretch of losses does to a detector of one level, wherever it stands: R <- G (R + S), a pair a bet, as logarithms.

    Stretches one after the other do what the whole does, so that one of them can be put in another's place.
    """

    labels: int
    mean_loss: float
    log_gains: Floats
    log_sums: Floats


def start_label_detector(level: float, budget: float) -> LabelDetector:
    """A detector of a mean loss above `level`, in (0, 1): at most one false alarm in `budget` labels.

    The mean number of labels to a false alarm is at least the budget, for any losses in [0, 1] whose mean, given
    the past, is at most the level. To begin anew (after acting on an alarm) is to start another.
    """
    if not 0 < level < 1:
        raise Invalid(f"the level {level} is not between 0 and 1", where="label detector", fix="Use a bounded loss")
    if not budget >= 1:
        raise Invalid(f"the budget {budget} is below 1", where="label detector", fix="Give a number of labels")
    return LabelDetector(level=float(level), budget=float(budget), labels=0, log_values=np.full(_BETS, -np.inf))


def level_from(losses: Array, *, tolerance: float, errors: float = 2.0) -> float:
    """A level from reference losses: their mean, `errors` standard errors, and the rise that does not matter."""
    losses = np.asarray(losses, dtype=np.float64)
    if losses.size < 2:
        raise Invalid("a level needs at least two losses", where="label detector", fix="Give more reference rows")
    mean, spread = float(losses.mean()), float(losses.std(ddof=1))
    # One pseudo-loss keeps the error of a reference without a mistake above zero.
    error = math.sqrt((spread**2 + 1.0 / losses.size) / losses.size)
    return min(max(mean + errors * error + tolerance, 1e-6), 1 - 1e-6)


def watch_losses(state: LabelDetector, losses: Array) -> tuple[LabelDetector, LabelFinding]:
    """The detector after a batch of losses in [0, 1], in the order of their labels, and what they showed.

    The state goes on past an alarm within the batch; to begin anew right after it, start another detector
    and give it `losses[alarm_at + 1:]`.
    """
    losses = _bounded(losses)
    path = _paths(state, losses)
    average = _log_mean(path)
    reached = np.flatnonzero(average >= math.log(state.budget))
    after = msgspec.structs.replace(
        state,
        labels=state.labels + losses.size,
        log_values=np.array(path[:, -1]) if losses.size else state.log_values,
    )
    finding = LabelFinding(
        alarm=reached.size > 0,
        alarm_at=int(reached[0]) if reached.size else None,
        value=after.value,
        budget=state.budget,
        labels=after.labels,
        mean_loss=float(losses.mean()) if losses.size else None,
    )
    return after, finding


def part_of(state: LabelDetector, losses: Array) -> LossPart:
    """What losses in [0, 1], one or more, in the order of their labels, do to a detector of this level."""
    losses = _bounded(losses)
    gains, before = _gains(state.level, losses)
    return LossPart(
        labels=losses.size,
        mean_loss=float(losses.mean()),
        log_gains=np.array(gains[:, -1]),
        log_sums=np.asarray(np.logaddexp.reduce(-before, axis=1)),
    )


def after_part(state: LabelDetector, part: LossPart) -> LabelDetector:
    """The detector after the losses of a part, which was made for its level."""
    return msgspec.structs.replace(
        state,
        labels=state.labels + part.labels,
        log_values=np.asarray(part.log_gains + np.logaddexp(state.log_values, part.log_sums)),
    )


def _bounded(losses: Array) -> Floats:
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 1 or not np.all((losses >= 0) & (losses <= 1)):
        raise Invalid("losses must be one row of numbers from 0 to 1", where="label detector", fix="Use a bounded loss")
    return losses


def _paths(state: LabelDetector, losses: Floats) -> Floats:
    """Log R after each loss, a row per bet: R <- (1 + R) (1 + bet (loss - level)).

    Unrolled: R_t = G_t (R_0 + sum over j <= t of 1 / G_(j-1)), where G is the running product of the bets' gains.
    In logarithms it neither overflows nor vanishes.
    """
    gains, before = _gains(state.level, losses)
    sums = np.logaddexp.accumulate(np.concatenate([state.log_values[:, None], -before], axis=1), axis=1)
    return np.asarray(gains + sums[:, 1:])


def _gains(level: float, losses: Floats) -> tuple[Floats, Floats]:
    """Log G after each loss, and before it."""
    bets = _LARGEST_BET / level * 0.5 ** np.arange(_BETS)
    gains = np.cumsum(np.log1p(bets[:, None] * (losses - level)), axis=1)
    return gains, np.concatenate([np.zeros((_BETS, 1)), gains[:, :-1]], axis=1)


def _log_mean(log_values: Floats) -> Floats:
    return np.asarray(np.logaddexp.reduce(log_values, axis=0) - math.log(_BETS))
