"""Decay: whether the loss on labelled predictions has risen, with a stated rate of false alarms."""

from datetime import timedelta
from typing import Any

import msgspec

from kept.core.durations import format_duration
from kept.measures.arrays import Array
from kept.measures.betting import LabelDetector, LabelFinding, start_label_detector, watch_losses

# Standard errors of the reference by which the level stands above its mean, so that a lucky test set is no alarm.
_REFERENCE_ERRORS = 2.0


class LossReference(msgspec.Struct, frozen=True, kw_only=True):
    """What the loss was on the rows that the version was judged on. Losses lie between 0 and 1."""

    mean: float
    error: float
    """Standard error of the mean."""
    scale: float | None = None
    """Regression only: the error that is as bad as any."""

    def level(self, tolerance: float) -> float:
        """The mean loss above which it is decay: the reference, its own error, and the rise that does not matter."""
        return min(max(self.mean + _REFERENCE_ERRORS * self.error + tolerance, 1e-6), 1 - 1e-6)


class DecayFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What a window's labels did to the detector."""

    finding: LabelFinding
    level: float
    reference: float

    def evidence(self, budget: timedelta) -> dict[str, Any]:
        """The numbers, and the budget as a sentence."""
        return {
            "budget": f"at most one false alarm in {format_duration(budget)}, "
            f"which is {self.finding.budget:,.0f} labels at the rate they come",
            "detector": self.finding.value,
            "alarms_at": self.finding.budget,
            "labels": self.finding.labels,
            "mean_loss_of_window": self.finding.mean_loss,
            "level": self.level,
            "mean_loss_of_reference": self.reference,
        }


def begin(reference: LossReference, tolerance: float, labels_per_window: float, windows: float) -> LabelDetector:
    """A detector whose budget is the number of labels that come in so many windows."""
    return start_label_detector(reference.level(tolerance), max(labels_per_window * windows, 1.0))


def feed(
    detector: LabelDetector, reference: LossReference, losses: Array
) -> tuple[LabelDetector, DecayFinding]:
    """The detector after a window's losses, in the order of their event times."""
    after, finding = watch_losses(detector, losses)
    return after, DecayFinding(finding=finding, level=detector.level, reference=reference.mean)
