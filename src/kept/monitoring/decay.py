"""Decay: whether the loss on labelled predictions has risen, with a stated rate of false alarms."""

from typing import Any

import msgspec
import numpy as np

from kept.evaluation.loss import LossReference
from kept.measures.arrays import Array
from kept.measures.betting import LabelDetector, LabelFinding, start_label_detector, watch_losses
from kept.monitoring.budget import Budget
from kept.monitoring.performance import Measured

MONITOR = "decay"
TITLE = "the loss on labelled predictions has risen"

# Standard errors of the reference by which the level stands above its mean, so that a lucky test set is no alarm.
_REFERENCE_ERRORS = 2.0
# From this design effect on, a window's labels count as one observation, their mean: the detector's promise needs
# observations whose mean, given all before, is not above the level, and labels of one bad day are not.
_TOGETHER = 2.0


class DecayFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What a window's labels did to the detector."""

    finding: LabelFinding
    before: float
    """The detector's value before them."""
    level: float
    reference: LossReference
    mean_loss: float

    def measured(self, rows: int) -> Measured:
        """The detector's value against its budget, as a number of the window; `low` is what it was before the window.

        That of the window before is not always it: labels of a window may come when later ones have been judged.
        """
        one = self.finding
        return Measured(
            metric="decay", value=one.value, low=self.before, high=one.budget, rows=rows, holds=not one.alarm
        )

    def evidence(self, budget: Budget) -> dict[str, Any]:
        """The numbers, and the budget as a sentence."""
        unit = "windows" if by_window(self.reference) else "labels"
        return {
            "budget": f"{budget.sentence}, which is {self.finding.budget:,.0f} {unit} at the rate they come",
            "detector": self.finding.value,
            "alarms_at": self.finding.budget,
            "observations": self.finding.labels,
            "observed": unit,
            "mean_loss_of_window": self.mean_loss,
            "level": self.level,
            "mean_loss_of_reference": self.reference.mean,
            "design_effect": self.reference.design_effect,
        }


def by_window(reference: LossReference) -> bool:
    """Whether labels of a window hang together, so that a window is one observation."""
    return reference.design_effect >= _TOGETHER


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


def feed(detector: LabelDetector, reference: LossReference, losses: Array) -> tuple[LabelDetector, DecayFinding]:
    """The detector after a window's losses, in the order of their event times."""
    mean = float(losses.mean())
    after, finding = watch_losses(detector, np.array([mean]) if by_window(reference) else losses)
    return after, DecayFinding(
        finding=finding, before=detector.value, level=detector.level, reference=reference, mean_loss=mean
    )
