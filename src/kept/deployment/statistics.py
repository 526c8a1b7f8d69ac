"""The statistics of a rollout that its rule decides on: of champion and candidate, by step."""

from datetime import timedelta

import msgspec

from kept.measures.sequential import Arm as Outcomes


class ArmStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm did in one step: answers, failures, latencies, and the losses of those whose labels came."""

    rows: int = 0
    """Requests it was given, failed ones too."""
    errors: int = 0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    timed: int | None = None
    """Answers whose latency is known, where only a share is logged; None: all requests."""
    slow: int = 0
    """Answers slower than the objective on latency_p99_ms."""
    slower: int = 0
    """Answers slower than `slowest_median` allows; of the candidate."""
    losses: Outcomes = Outcomes()
    """Number, sum and sum of squares of losses in [0, 1]."""

    @property
    def error_rate(self) -> float:
        """The share of failed requests; 0 without any."""
        return self.errors / self.rows if self.rows else 0.0

    @property
    def slow_rate(self) -> float:
        """The share of slow answers; 0 without any."""
        return self.slow / self.latencies if self.latencies else 0.0

    @property
    def latencies(self) -> int:
        """Requests of which it is known how long they took."""
        return self.rows if self.timed is None else self.timed


class PairStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that both versions answered: the champion, and the candidate as its shadow."""

    rows: int = 0
    disagreements: int = 0
    """Rows with another class; of numbers, those more than 5% of the larger one apart."""
    gains: Outcomes = Outcomes()
    """Loss of the champion minus that of the candidate, in [-1, 1], where labels came."""
    windows: tuple[Outcomes, ...] = ()
    """The same of each monitoring window, where it is known how long one is."""

    @property
    def disagreement(self) -> float:
        """The share of rows that were answered otherwise; 0 without any."""
        return self.disagreements / self.rows if self.rows else 0.0


class StepStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Both arms in one step. Labels that come late still count in the step of their prediction."""

    champion: ArmStatistics
    candidate: ArmStatistics
    elapsed: timedelta
    """Event time since the step began."""
    pairs: PairStatistics | None = None
    """Of a shadow only."""
