"""A rollout: a version on its way to taking over an endpoint, the rule that judges it, and its decisions."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from kept.deployment.routing import Fallback
from kept.plan.windows import Windows

Action = Literal["go_on", "advance", "promote", "roll_back", "hold"]
Quality = Literal["better", "not worse", "worse", "undecided", "not judged"]
State = Literal["waiting", "shadow", "canary", "ab", "held", "promoted", "rolled_back", "replaced"]
Phase = Literal["shadow", "canary", "ab"]
RUNNING: tuple[State, ...] = ("waiting", "shadow", "canary", "ab", "held")
PHASES: tuple[Phase, ...] = ("shadow", "canary", "ab")


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
    shadow: timedelta | None = None
    """Event time for which it is a shadow first; None where it is not."""
    shadow_rows: int = 0
    max_disagreement: float | None = None
    challenger: float | None = None
    """Share of the challenger of an A/B test, in place of a canary."""
    keep_previous: bool = False
    """Whether the version before is held ready once this one has taken over."""
    on_timeout: Literal["roll_back", "hold"] = "roll_back"
    quality_required: bool = False
    """Whether it takes all traffic only when labels have shown that it is no worse."""
    judged_by: Literal["probability", "class"] = "probability"
    """The loss that labels are turned into: of the probability (or the number), or 1 for each wrong class."""
    fallback: Fallback | None = None
    windows: Windows | None = None
    """How event time is cut into monitoring windows, whose rows hang together; None in rollouts that began before it was noted."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that a decision rests on."""

    step: int
    share: float
    rows: int
    errors: int
    error_rate: float
    error_evidence: float
    """How many times likelier the errors are under a rate above the limit and the champion's; 1 / alpha rolls back."""
    champion_error_rate: float = 0.0
    """Over all steps."""
    latency_ratio: float | None
    latency_p99_ms: float | None
    slow_evidence: float = 1.0
    """How many times likelier the latencies are under a median above the limit; 1 / alpha rolls back."""
    elapsed: timedelta
    champion_outcomes: int
    candidate_outcomes: int
    improvement: float | None
    """Mean loss of the champion minus that of the candidate, over all steps."""
    low: float | None
    high: float | None
    """Its confidence sequence: it holds at all looks at once, up to alpha."""
    quality: Quality
    pairs: int = 0
    """Rows that both versions answered, of a shadow."""
    disagreements: int = 0
    """Of them, those that they answered otherwise."""


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
        return self.state in RUNNING

    @property
    def phase(self) -> Phase | None:
        """The way in which it is on trial now, also while it is held; None when it is not on trial."""
        if self.state == "held":
            return next((one.state for one in reversed(self.evidence) if one.state in PHASES), None)
        return self.state if self.state in PHASES else None

    @property
    def share(self) -> float:
        """The candidate's share of the traffic."""
        shares = {"canary": self.rule.canary[self.step], "ab": self.rule.challenger or 0.0, "promoted": 1.0}
        return shares.get(self.phase or self.state, 0.0)
