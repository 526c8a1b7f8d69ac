"""The replay: days in order, requests and labels in order, and what the loop did meanwhile."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kept.app.connection import Connection
from kept.app.supervisor import Supervisor
from kept.cli.demonstration.course import Course
from kept.cli.demonstration.pace import Pace
from kept.cli.demonstration.score import compare, months
from kept.cli.demonstration.sender import Sender
from kept.cli.demonstration.timeline import Timeline
from kept.loop.status import EndpointState
from kept.measures.metrics import measure

_SCORE_EVERY_DAYS = 5


@dataclass
class Counts:
    """What happened, counted once each."""

    alarms: int = 0
    retrainings: int = 0
    promotions: int = 0
    rollbacks: int = 0
    seen: set[str] = field(default_factory=set, repr=False)


class Replay:
    """Plays a course against a running Kept."""

    def __init__(
        self,
        connection: Connection,
        sender: Sender,
        course: Course,
        alone: dict[str, float],
        timeline: Timeline,
        endpoint: str,
    ) -> None:
        self._sender = sender
        self._course = course
        self._alone = alone
        self._timeline = timeline
        self._pace = Pace(connection, endpoint, timeline.note)
        self._counts = Counts()
        self._counts.seen.update(one.id for one in self._pace.state().decisions)

    def play(self, supervisor: Supervisor) -> Counts:
        """Plays every day, and gives what happened."""
        for place, day in enumerate(self._course.days):
            self._day(day, supervisor)
            if place % _SCORE_EVERY_DAYS == _SCORE_EVERY_DAYS - 1 or day == self._course.days[-1]:
                self._score(day + timedelta(days=1))
        return self._counts

    def _day(self, day: datetime, supervisor: Supervisor) -> None:
        last: datetime | None = None
        for what in self._course.day(day):
            self._sender.send(what)
            if hasattr(what, "rows"):
                last = what.at
                self._pace.breathe()
        supervisor.look(wait=0.0)
        if last is None:
            return
        state = self._pace.settle(last)
        self._tell(state)
        note = "a model is being trained" if state.training else ""
        self._timeline.day(day, self._sender.requests, self._sender.failed, note)

    def _tell(self, state: EndpointState) -> None:
        counts = self._counts
        for alert in reversed(state.alerts):
            if alert.id not in counts.seen:
                counts.seen.add(alert.id)
                counts.alarms += 1
                self._timeline.happened(alert.event_time, "alarm", alert.title)
        for decision in reversed(state.decisions):
            if decision.id in counts.seen:
                continue
            counts.seen.add(decision.id)
            counts.retrainings += decision.kind == "retrain"
            counts.promotions += decision.kind == "promote"
            counts.rollbacks += decision.kind == "roll_back"
            self._timeline.happened(decision.event_time, decision.kind, decision.reason)

    def _score(self, until: datetime) -> None:
        truth = self._course.truth()
        scored = compare(truth.filter(truth["at"] < until), self._sender.answered, self._alone)
        if scored.is_empty():
            return
        daily = [
            measure("log_loss", group["label"].to_numpy(), group["kept"].to_numpy())
            for _, group in scored.group_by_dynamic("at", every="3d")
        ]
        self._timeline.months(months(scored), daily)
