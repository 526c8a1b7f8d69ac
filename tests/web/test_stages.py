from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kept.app.process import Process
from kept.core.ids import new_id
from kept.deployment.rollout import Rollout, Rule
from kept.deployment.routing import Arm
from kept.loop.status import EndpointState
from kept.pipelines.run_step import RunStep, StepStatus
from kept.tracking.run import Run, RunStatus
from kept.web.pages.facts import LoopFacts
from kept.web.pages.stages import NAMES, current, stages

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EMPTY = LoopFacts(name="late", project=None)


def run(status: RunStatus) -> Run:
    return Run(id=new_id(), project="late", kind="training", name="", status=status, created_by="ada", created_at=NOW)


def steps(*found: tuple[str, StepStatus]) -> tuple[RunStep, ...]:
    return tuple(
        RunStep(run_id="r", step=name, position=place, status=status, started_at=NOW)
        for place, (name, status) in enumerate(found)
    )


def serving(state: str | None) -> LoopFacts:
    rollout = None
    if state is not None:
        rollout = Rollout(
            id="r",
            endpoint="late",
            candidate="v2",
            champion="v1",
            rule=Rule(),
            state=state,  # type: ignore[arg-type]
            step=0,
            evidence=(),
            reason="It was released.",
            event_time=None,
            created_at=NOW,
            updated_at=NOW,
        )
    endpoint = EndpointState(
        endpoint="late",
        project="late",
        event_time=NOW,
        decided_until=NOW,
        traffic_until=NOW,
        labelled_until=NOW,
        arms=(Arm(version_id="v1", number=1, model="late", bundle="sha256:0"),),
        rollout=rollout,
        windows=(),
        alerts=(),
        decisions=(),
        run=None,
        steps=(),
        training=False,
        busy=False,
    )
    return replace(EMPTY, state=endpoint)


def test_the_loop_has_ten_stages_in_order_and_nothing_happens_in_an_empty_one() -> None:
    found = stages(EMPTY)
    assert tuple(one.name for one in found) == NAMES
    assert {one.state for one in found} == {"idle"}
    assert current(found) is None


@pytest.mark.parametrize(
    ("running", "stage"),
    [
        ("ingest", "data"),
        ("join", "features"),
        ("tune", "train"),
        ("a_step_of_the_project", "train"),
        ("judge", "judge"),
    ],
)
def test_a_running_step_is_where_things_happen(running: str, stage: str) -> None:
    facts = replace(EMPTY, run=run(RunStatus.RUNNING), steps=steps((running, StepStatus.RUNNING)))
    now = current(stages(facts))
    assert now is not None
    assert (now.name, now.state, now.what) == (stage, "active", running)


def test_a_queued_training_waits_at_retrain_and_one_between_steps_where_the_next_is() -> None:
    queued = current(stages(replace(EMPTY, run=run(RunStatus.QUEUED))))
    assert queued is not None
    assert queued.name == "retrain"
    between = steps(("ingest", StepStatus.FINISHED), ("fit", StepStatus.WAITING))
    now = current(stages(replace(EMPTY, run=run(RunStatus.RUNNING), steps=between)))
    assert now is not None
    assert now.name == "train"


def test_a_failed_training_is_a_problem_until_the_next() -> None:
    found = {one.name: one for one in stages(replace(EMPTY, run=run(RunStatus.FAILED)))}
    assert found["train"].state == "problem"


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("waiting", "waiting"),
        ("canary", "active"),
        ("promoted", "done"),
        ("rolled_back", "problem"),
        ("replaced", "idle"),
    ],
)
def test_a_rollout_is_shown_as_it_stands(state: str, shown: str) -> None:
    found = {one.name: one for one in stages(serving(state))}
    assert found["release"].state == shown


def test_serving_is_a_problem_when_nobody_answers() -> None:
    assert {one.name: one for one in stages(serving(None))}["serve"].state == "problem"
    alive = Process(
        id="p",
        kind="serve",
        host="here",
        pid=1,
        address="",
        started_at=NOW - timedelta(hours=1),
        seen_at=NOW,
        details={},
    )
    assert {one.name: one for one in stages(replace(serving(None), processes=(alive,)))}["serve"].state == "done"
