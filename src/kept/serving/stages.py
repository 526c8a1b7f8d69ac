"""Latency histograms of the stages of a request's way through the service.

A turn in so many is timed, whole, so that times are those of all requests and the others cost nothing more.
"""

import time
from collections.abc import Sequence

# Waiting for the turn; then what the turn takes, for all requests in it: to read them, ask the model (of each version by itself),
# write the log, and write the answers.
STAGES = ("queue", "read", "model", "log", "answer")
# From a microsecond to seconds: a bucket for each power of two up to 4.2 seconds, and one for the rest.
_POWERS = 23
STAGE_BUCKETS = tuple((1 << power) / 1e6 for power in range(_POWERS))


class Watch:
    """Times one turn: begun when it is made, and marked after reading, after each version's model, the log, and the answers."""

    __slots__ = ("_marks", "began")

    def __init__(self) -> None:
        self.began = time.perf_counter_ns()
        self._marks: list[int] = []

    def mark(self) -> None:
        """A stage is over."""
        self._marks.append(time.perf_counter_ns())

    def stages(self, place: int) -> tuple[int, int, int, int]:
        """Nanoseconds of reading, of the model that was asked at this place, of the log and of the answers."""
        marks = self._marks
        return marks[0] - self.began, marks[place + 1] - marks[place], *self.last()

    def last(self) -> tuple[int, int]:
        """Nanoseconds of the log and of the answers."""
        marks = self._marks
        return marks[-2] - marks[-3], marks[-1] - marks[-2]

    def ends(self, place: int) -> tuple[int, int, int, int]:
        """When these were over, as `time.perf_counter_ns` counts."""
        marks = self._marks
        return marks[0], marks[place + 1], marks[-2], marks[-1]


class StageCounts:
    """How long the stages of one version's requests took."""

    __slots__ = ("buckets", "total_ns")

    def __init__(self) -> None:
        self.buckets = [[0] * (_POWERS + 1) for _ in STAGES]
        self.total_ns = [0] * len(STAGES)

    def add(self, spent: tuple[int, int, int, int], waited: Sequence[int]) -> None:
        """Adds a turn's requests: nanoseconds of the turn's stages, and of each request's waiting for it."""
        for wait in waited:
            self._add(0, wait, 1)
        for stage, took in enumerate(spent, 1):
            self._add(stage, took, len(waited))

    def _add(self, stage: int, took: int, count: int) -> None:
        # A number of microseconds with n binary digits is below 2^n.
        self.buckets[stage][min((took // 1000).bit_length(), _POWERS)] += count
        self.total_ns[stage] += took * count
