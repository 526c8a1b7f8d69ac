"""Performance before labels come, from the scores alone, calibrated on the version's own labelled predictions."""

from typing import get_args

import msgspec
import numpy as np

from kept.measures.arrays import Floats
from kept.measures.estimates import Estimated, estimate
from kept.monitoring.performance import Measured
from kept.plan.objective import Objective
from kept.plan.specs import Task

MONITOR = "estimate"
PREFIX = "estimated_"

# How many labelled predictions are remembered to calibrate on, and how few are too few.
REMEMBERED = 2_000
_FEWEST = 200
_DRAWS = 40


class Memory(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The newest labelled predictions: the score of what was said, and whether it came true (1) or not (0).

    Of two classes it is the probability of the second; of more, that of the likeliest.
    """

    scores: Floats
    labels: Floats

    @classmethod
    def empty(cls) -> "Memory":
        """No predictions."""
        return cls(scores=np.zeros(0), labels=np.zeros(0))

    def with_rows(self, task: Task, labels: Floats, scores: Floats) -> "Memory":
        """The memory after more labelled predictions; the oldest beyond `REMEMBERED` are forgotten."""
        said, came_true = _pairs(task, labels, scores)
        return Memory(
            scores=np.concatenate([self.scores, said])[-REMEMBERED:],
            labels=np.concatenate([self.labels, came_true])[-REMEMBERED:],
        )


def estimate_window(
    task: Task, objectives: tuple[Objective, ...], memory: Memory, scores: Floats, *, seed: int = 0
) -> list[Measured]:
    """The objectives' metrics of a window's predictions, estimated (CBPE), with the intervals they may lie in.

    Nothing for regression, and nothing until enough labels have come to calibrate on. It cannot see that the same row
    now has another outcome: that is what labels are waited for.
    """
    if task == "regression" or memory.scores.size < _FEWEST or not scores.shape[0]:
        return []
    names = [one.metric for one in objectives if one.by is None]
    known: tuple[Estimated, ...] = get_args(Estimated) if task == "binary" else ("accuracy",)
    said = scores if task == "binary" else scores.max(axis=1)
    found = []
    for metric in known:
        if metric in names:
            # The likeliest class is what is said, however unlikely it is.
            threshold = 0.5 if task == "binary" else 0.0
            one = estimate(
                metric,
                said,
                reference=memory.scores,
                labels=memory.labels,
                threshold=threshold,
                seed=seed,
                draws=_DRAWS,
            )
            bound = next(each for each in objectives if each.metric == metric and each.by is None)
            holds = None if one.value is None else bound.holds(one.value)
            found.append(
                Measured(
                    metric=f"{PREFIX}{metric}", value=one.value, low=one.low, high=one.high, rows=one.rows, holds=holds
                )
            )
    return found


def _pairs(task: Task, labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
    if task == "multiclass":
        return scores.max(axis=1), (scores.argmax(axis=1) == labels).astype(np.float64)
    return scores, labels
