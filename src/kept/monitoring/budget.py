"""The budget of false alarms of an endpoint, and how its detectors share it.

Each detector is an e-detector: its value grows by at most one a window on average while nothing has changed, and it alarms
at its own budget. Where these are N / share with shares that add up to 1, the average of the values weighted by the shares
is an e-detector as well (Shin, Ramdas and Rinaldo 2022, section 4), and it has reached N when any of them alarms: the mean
time to the first false alarm of all of them is at least N, however they hang together.
"""

from datetime import timedelta
from typing import Literal

import msgspec

from kept.core.durations import format_duration

Detector = Literal["drift", "decay", "predictions", "attribution"]

# Fixed before anything is seen. What sets off trainings has most of it: a fifth of the budget costs a detector the evidence
# of log(5), which a change that matters brings in a window or two.
_SHARES: dict[Detector, float] = {"drift": 0.4, "decay": 0.4, "predictions": 0.2}
_CONTRIBUTIONS = 0.1


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What one detector may spend: its share of one false alarm in such a time."""

    whole: timedelta
    """In which all detectors of the endpoint together alarm falsely at most once."""
    share: float

    @property
    def sentence(self) -> str:
        """What is promised."""
        of_all = f"at most one false alarm in {format_duration(self.whole)} by all detectors of the endpoint together"
        return f"{of_all}; {self.share:.0%} of that is this one's"

    def windows(self, length: timedelta) -> float:
        """This detector's budget as a number of windows of such a length: it alarms falsely at most once in so many."""
        return max(self.whole / length / self.share, 1.0)


def budget_of(detector: Detector, whole: timedelta, *, explained: bool) -> Budget:
    """The part of an endpoint's budget that is this detector's; contributions take theirs of predictions, when watched."""
    if detector == "attribution":
        return Budget(whole=whole, share=_CONTRIBUTIONS)
    taken = _CONTRIBUTIONS if explained and detector == "predictions" else 0.0
    return Budget(whole=whole, share=_SHARES[detector] - taken)
