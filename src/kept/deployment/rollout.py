"""A rollout: a version on its way to taking over an endpoint, the rule it is held to, and what was decided."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

Action = Literal["go_on", "advance", "promote", "roll_back"]
Quality = Literal["better", "not worse", "worse", "undecided", "not judged"]
State = Literal["waiting", "canary", "promoted", "rolled_back", "replaced"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollout is held to: the project's release policy and objectives as they were when it began."""

    canary: tuple[float, ...] = (0.1, 0.5, 1.0)
    step: timedelta = timedelta(hours=1)
    step_rows: int = 200
    timeout: timedelta = timedelta(days=7)
    approvals: int = 0
    max_error_rate: float = 0.01
    max_latency_ratio: float = 3.0
    margin: float = 0.02
    alpha: float = 0.05
    latency_p99_ms: float | None = None
    """Bound of the objective on latency_p99_ms, when the project has one."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that a decision rests on."""

    step: int
    share: float
    rows: int
    errors: int
    error_rate: float
    error_evidence: float
    """How many times likelier the errors are under a rate above the limit; 1 / alpha rolls back."""
    latency_ratio: float | None
    latency_p99_ms: float | None
    elapsed: timedelta
    champion_outcomes: int
    candidate_outcomes: int
    improvement: float | None
    """Mean loss of the champion minus that of the candidate, over all steps."""
    low: float | None
    high: float | None
    """Its confidence sequence: it holds at all looks at once, up to alpha."""
    quality: Quality


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, why as a sentence, and the numbers."""

    action: Action
    reason: str
    evidence: Evidence


class RolloutStep(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a rollout."""

    state: State
    step: int
    share: float
    """The candidate's share of the traffic from then on."""
    reason: str
    by: str
    evidence: Evidence | None = None
    """None where a person decided, or nothing had to be measured."""
    at: datetime
    event_time: datetime | None = None


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout. Its fields are the columns of the table `rollouts`."""

    id: str
    endpoint: str
    candidate: str
    """The model version that takes over."""
    champion: str | None
    """The model version that served when it began; None for an endpoint's first."""
    rule: Rule
    state: State
    step: int
    evidence: tuple[RolloutStep, ...]
    """What happened so far, oldest first."""
    reason: str
    """Why it is where it is."""
    event_time: datetime | None
    """When its present step began, in event time; None when that was not told."""
    created_at: datetime
    updated_at: datetime

    @property
    def running(self) -> bool:
        """Whether it is not decided yet."""
        return self.state in {"waiting", "canary"}

    @property
    def share(self) -> float:
        """The candidate's share of the traffic."""
        return {"canary": self.rule.canary[self.step], "promoted": 1.0}.get(self.state, 0.0)
