"""Decay: whether the loss on labelled predictions has risen, with a stated rate of false alarms.

The detector goes on window by window, and what each window did to it is remembered: labels that come later, or are corrected,
make it what it had been if they had been known at once.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from kept.evaluation.loss import LossReference
from kept.measures.arrays import Array
from kept.measures.betting import LabelDetector, LossPart, after_part, part_of, start_label_detector
from kept.monitoring.budget import Budget
from kept.monitoring.performance import Measured

MONITOR = "decay"
TITLE = "the loss on labelled predictions has risen"

# Standard errors of the reference by which the level stands above its mean, so that a lucky test set is no alarm.
_REFERENCE_ERRORS = 2.0
# From this design effect on, a window's labels count as one observation, their mean: the detector's promise needs
# observations whose mean, given all before, is not above the level, and labels of one bad day are not.
_TOGETHER = 2.0


class FedWindow(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a window's labels, as far as they are known, do to the detector."""

    start: datetime
    rows: int
    """Labelled predictions."""
    mean_loss: float
    part: LossPart

    def does_as(self, other: "FedWindow") -> bool:
        """Whether both are of as many labels that do the same."""
        own, its = self.part, other.part
        same = np.array_equal(own.log_gains, its.log_gains) and np.array_equal(own.log_sums, its.log_sums)
        return same and self.rows == other.rows


class DecayFinding(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a window's labels did to the detector."""

    window: FedWindow
    before: float
    """The detector's value before them."""
    after: LabelDetector
    reference: LossReference

    @property
    def alarm(self) -> bool:
        """Whether the detector stands at its budget, or above, at the end of the window."""
        return self.after.value >= self.after.budget

    def measured(self) -> Measured:
        """The detector's value against its budget, as a number of the window; `low` is what it was before the window."""
        return Measured(
            metric="decay",
            value=self.after.value,
            low=self.before,
            high=self.after.budget,
            rows=self.window.rows,
            holds=not self.alarm,
        )

    def evidence(self, budget: Budget) -> dict[str, Any]:
        """The numbers, and the budget as a sentence."""
        unit = observed(self.reference)
        return {
            "budget": f"{budget.sentence}, which is {self.after.budget:,.0f} {unit} at the rate they come",
            "detector": self.after.value,
            "alarms_at": self.after.budget,
            "observations": self.after.labels,
            "observed": unit,
            "mean_loss_of_window": self.window.mean_loss,
            "level": self.after.level,
            "mean_loss_of_reference": self.reference.mean,
            "design_effect": self.reference.design_effect,
        }


def by_window(reference: LossReference) -> bool:
    """Whether labels of a window hang together, so that a window is one observation."""
    return reference.design_effect >= _TOGETHER


def observed(reference: LossReference) -> str:
    """What the detector counts, in its budget and what it has seen."""
    return "windows" if by_window(reference) else "labels"


def level_above(reference: LossReference, tolerance: float) -> float:
    """The mean loss above which it is decay: the reference, its own error, and the rise that does not matter."""
    return min(max(reference.mean + _REFERENCE_ERRORS * reference.error + tolerance, 1e-6), 1 - 1e-6)


def begin(reference: LossReference, tolerance: float, labels_per_window: float, windows: float) -> LabelDetector:
    """A detector whose budget is so many windows, or the number of labels that come in them."""
    observations = windows if by_window(reference) else labels_per_window * windows
    return start_label_detector(level_above(reference, tolerance), max(observations, 1.0))


def paced(detector: LabelDetector, reference: LossReference, labels_per_window: float, windows: float) -> LabelDetector:
    """The detector with the budget that the present rate of labels makes of so many windows, never a smaller one.

    Its first window is often a part of one, or is of a canary's share of the traffic. Windows that are one observation
    each have the budget as it stands.
    """
    if by_window(reference):
        return msgspec.structs.replace(detector, budget=max(windows, 1.0))
    return msgspec.structs.replace(detector, budget=max(detector.budget, labels_per_window * windows))


def fed_window(
    detector: LabelDetector, reference: LossReference, start: datetime, losses: Array, rows: int
) -> FedWindow:
    """What a window's losses, one or more in the order of their event times, do to a detector of this level."""
    mean = float(losses.mean())
    seen = np.array([mean]) if by_window(reference) else losses
    return FedWindow(start=start, rows=rows, mean_loss=mean, part=part_of(detector, seen))


def in_place(windows: Iterable[FedWindow], one: FedWindow) -> tuple[FedWindow, ...]:
    """The windows by time with this one, which takes the place of what was known of it before."""
    return tuple(sorted([one, *(each for each in windows if each.start != one.start)], key=lambda each: each.start))


def course(detector: LabelDetector, reference: LossReference, windows: Iterable[FedWindow]) -> Iterator[DecayFinding]:
    """What each window does to the detector, one after the other."""
    for one in windows:
        after = after_part(detector, one.part)
        yield DecayFinding(window=one, before=detector.value, after=after, reference=reference)
        detector = after
