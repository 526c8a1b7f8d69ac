"""What a process spooled is kept exactly once, whatever is sent again."""

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.core.errors import Invalid, NotFound
from kept.core.ids import new_id
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiments import delete_experiment, find_experiment
from kept.tracking.finding import metric_history
from kept.tracking.points import Point
from kept.tracking.receiving import receive_frames
from kept.tracking.recording import delete_run
from kept.tracking.requests import DeleteExperiment, DeleteRun, FindExperiment, MetricHistory
from kept.tracking.run import RunDetail, RunStatus
from kept.tracking.runs import ShowRun, show_run
from kept.tracking.spooled import Begun, Ended, Frame, Logged, Received, ReceiveFrames

pytestmark = pytest.mark.each_database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = "b" * 32


class Sending:
    """One writer of one run."""

    def __init__(self, workspace: Workspace, me: Actor, run: str = RUN) -> None:
        self.workspace, self.me, self.run, self.writer = workspace, me, run, new_id()

    def send(self, *frames: Frame) -> Received:
        return receive_frames(
            self.workspace, self.me, ReceiveFrames(run=self.run, writer=self.writer, frames=list(frames))
        )

    def history(self, name: str = "loss") -> list[Point]:
        return metric_history(self.workspace, self.me, MetricHistory(run=self.run, name=name)).points

    def shown(self) -> RunDetail:
        return show_run(self.workspace, self.me, ShowRun(run=self.run))


@pytest.fixture
def sending(workspace: Workspace, me: Actor) -> Sending:
    return Sending(workspace, me)


def begun(position: int = 1, **facts: object) -> Frame:
    return Frame(position=position, begun=msgspec.structs.replace(Begun(experiment="churn", name="a", at=NOW), **facts))


def measured(position: int, step: int, **values: float) -> Frame:
    return Frame(position=position, logged=[Logged(at=step, step=step, values=values)])


def test_a_run_is_begun_logged_and_ended(sending: Sending) -> None:
    ended = Ended(status=RunStatus.FAILED, at=NOW, error="out of memory")
    answer = sending.send(
        begun(seed=7, user="grace"),
        measured(2, 0, loss=0.5, accuracy=0.25),
        Frame(position=3, params={"lr": "0.1"}, tags={"stage": "first"}),
        Frame(position=4, ended=ended),
    )
    found = sending.shown()
    assert (answer.position, answer.refused) == (4, [])
    assert answer.location == found.run.artifact_location == f"mlflow-artifacts:/{found.run.experiment}/{RUN}/artifacts"
    assert (found.run.name, found.run.seed, found.run.user, found.run.created_by) == ("a", 7, "grace", "ada")
    assert (found.run.status, found.run.error, found.run.started_at, found.run.ended_at) == (
        RunStatus.FAILED,
        "out of memory",
        NOW,
        NOW,
    )
    assert (found.params, found.metrics) == ({"lr": "0.1"}, {"loss": 0.5, "accuracy": 0.25})
    assert found.run.tags == {"mlflow.runName": "a", "stage": "first"}


def test_what_was_heard_is_left_and_said(sending: Sending) -> None:
    sending.send(begun(), measured(5, 0, loss=1.0))
    # A later value at the same place would be another point, were the frame taken again.
    again = sending.send(begun(), measured(5, 0, loss=2.0), measured(9, 1, loss=3.0))
    assert again.position == 9
    assert [point.value for point in sending.history()] == [1.0, 3.0]
    assert sending.send().position == 9
    assert sending.send(measured(6, 8, loss=4.0)).position == 9
    assert len(sending.history()) == 2


def test_writers_of_one_run_are_heard_each_for_itself(workspace: Workspace, me: Actor, sending: Sending) -> None:
    sending.send(begun(), measured(50, 0, loss=1.0))
    other = Sending(workspace, me)
    other.send(measured(2, 1, loss=2.0))
    assert [point.value for point in sending.history()] == [1.0, 2.0]


def test_what_json_has_no_number_for_is_kept(sending: Sending) -> None:
    special = {"a": "NaN", "b": "Infinity", "c": "-Infinity"}
    sending.send(begun(), Frame(position=2, logged=[Logged(at=0, step=0, values={"d": 1.5}, special=special)]))
    found = {point.name: point.value for point in sending.shown().latest}
    assert math.isnan(found["a"])
    assert (found["b"], found["c"], found["d"]) == (math.inf, -math.inf, 1.5)
    with pytest.raises(ValueError, match="NaN"):
        Logged(at=0, step=0, special={"a": "many"})


def test_what_cannot_be_kept_is_refused_alone(sending: Sending) -> None:
    answer = sending.send(
        begun(),
        Frame(position=2, params={"lr": "0.1"}),
        Frame(position=3, params={"lr": "0.2"}),
        measured(4, 0, **{"bad:\n": 1.0}),
        Frame(position=5, ended=Ended(status=RunStatus.RUNNING, at=NOW)),
        measured(6, 0, loss=1.0),
        Frame(position=7, params={"nul": "a\0b"}),
    )
    assert [refusal.position for refusal in answer.refused] == [3, 4, 5, 7]
    assert "Changing param values" in answer.refused[0].reason
    assert answer.position == 7
    assert len(sending.history()) == 1
    assert sending.shown().params == {"lr": "0.1"}


@pytest.mark.parametrize(
    "facts", [{"seed": 2**63}, {"seed": -(10**300)}, {"at": datetime(2026, 3, 1)}], ids=["64 bits", "huge", "no zone"]
)
def test_a_beginning_that_no_database_holds_is_refused_and_leaves_nothing(
    workspace: Workspace, me: Actor, sending: Sending, facts: dict[str, Any]
) -> None:
    sending.send(begun())
    other = Sending(workspace, me, "c" * 32)
    with pytest.raises(NotFound):
        other.send(begun(experiment="never", **facts), measured(2, 0, loss=0.5))
    with pytest.raises(NotFound):
        find_experiment(workspace, me, FindExperiment(name="never"))
    assert [one.position for one in other.send(begun(1, **facts), begun(2), measured(3, 0, loss=0.5)).refused] == [1]
    assert [point.value for point in other.history()] == [0.5]


def test_a_run_that_there_is_not_is_waited_for(workspace: Workspace, me: Actor, sending: Sending) -> None:
    early = Sending(workspace, me)
    with pytest.raises(NotFound, match="there is no run"):
        early.send(measured(3, 0, loss=1.0))
    sending.send(begun())
    assert early.send(measured(3, 0, loss=1.0)).refused == []
    assert len(sending.history()) == 1


def test_a_run_is_not_begun_twice(workspace: Workspace, me: Actor, sending: Sending) -> None:
    sending.send(begun())
    assert "already" in Sending(workspace, me).send(begun()).refused[0].reason


def test_positions_must_rise(sending: Sending) -> None:
    with pytest.raises(Invalid, match="rise"):
        sending.send(begun(2), measured(2, 0, loss=1.0))


def test_a_deleted_run_goes_on_and_a_deleted_experiment_comes_back(
    workspace: Workspace, me: Actor, sending: Sending
) -> None:
    sending.send(begun())
    delete_run(workspace, me, DeleteRun(run=RUN))
    assert sending.send(measured(2, 0, loss=1.0)).refused == []
    experiment = find_experiment(workspace, me, FindExperiment(name="churn"))
    delete_experiment(workspace, me, DeleteExperiment(experiment=experiment.id))
    other = Sending(workspace, me, "c" * 32)
    other.send(begun())
    assert find_experiment(workspace, me, FindExperiment(name="churn")).lifecycle == "active"


@given(st.lists(st.tuples(st.integers(0, 39), st.integers(1, 12)), max_size=12))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_it_is_sent_again_each_is_there_once(
    workspace: Workspace, me: Actor, pieces: list[tuple[int, int]]
) -> None:
    run = new_id().replace("-", "")
    sending = Sending(workspace, me, run)
    frames = [begun(), *(measured(10 * (step + 1), step, loss=float(step)) for step in range(39))]
    heard = 0
    for first, length in pieces:
        # A sender that has not heard of an acknowledgement goes back, but it never leaves anything out.
        start = min(first, heard)
        sending.send(*frames[start : start + length])
        heard = max(heard, min(start + length, len(frames)))
    sending.send(*frames[heard:])
    assert [point.value for point in sending.history()] == [float(step) for step in range(39)]
