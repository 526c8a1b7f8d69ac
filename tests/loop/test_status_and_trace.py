import polars as pl
import pytest
from world import APRIL, DAY, NAME, MakeWorld

from kept.core.errors import Invalid, NotFound
from kept.core.ids import new_id
from kept.loop.status import ShowLoop, show_loop
from kept.loop.trace import TracePrediction, trace_prediction
from kept.monitoring.catalog import ShowMonitors, ShowWindows, show_monitors, show_windows
from kept.plan.policy import drift
from kept.tracking.runs import queued_runs


def test_the_loop_says_where_it_stands(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[drift()], cooldown="1d"))
    (before,) = show_loop(world.workspace, world.me, ShowLoop()).endpoints
    assert (before.event_time, before.decided_until, before.busy) == (None, None, False)
    world.days(3)
    world.shift = 1.0
    world.days(2)
    (state,) = show_loop(world.workspace, world.me, ShowLoop(endpoint=NAME)).endpoints
    assert state.decided_until == state.event_time is not None
    assert state.traffic_until == APRIL + 4 * DAY
    assert state.labelled_until == APRIL + 3 * DAY
    assert state.training
    assert state.busy
    assert state.run is not None
    assert state.alerts[0].kind == "drift"
    assert {one.monitor for one in state.windows} >= {"drift", "decay", "estimate", "performance"}
    world.train()
    (state,) = show_loop(world.workspace, world.me, ShowLoop()).endpoints
    assert state.training
    world.tick()
    (state,) = show_loop(world.workspace, world.me, ShowLoop()).endpoints
    assert not state.training
    assert state.busy
    assert len(state.arms) == 2


def test_windows_and_detectors_can_be_looked_at(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1d", false_alarm_every="30d"))
    world.days(4)
    aucs = show_windows(
        world.workspace, world.me, ShowWindows(endpoint=NAME, monitor="performance", metric="roc_auc", slice="")
    )
    assert [one.start for one in aucs] == [APRIL, APRIL + DAY]
    assert all(one.holds and one.low and one.low < (one.value or 0) for one in aucs)
    found = show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME))
    assert found.drift is not None
    assert (found.drift.seen, found.drift.budget, found.drift.alarmed) == (3, 75.0, False)
    assert found.decay is not None
    assert found.decay.seen == 400
    with pytest.raises(Invalid):
        show_windows(world.workspace, world.me, ShowWindows(endpoint=NAME, limit=10_000_000))


def test_a_prediction_is_followed_back(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[drift()], cooldown="1d"))
    world.days(3)
    world.shift = 1.0
    world.days(2)
    (run,) = queued_runs(world.workspace, "training")
    world.train()
    world.tick()
    frame = world.day()
    row = frame.filter(pl.col("version") == 2).row(0, named=True)
    trace = trace_prediction(world.workspace, world.me, TracePrediction(prediction=row["id"]))
    assert trace.prediction["feature_x"] == row["feature_x"]
    assert (trace.endpoint, trace.version.number) == (NAME, 2)
    assert trace.run is not None
    assert trace.run.id == run.id
    assert [one.value for one in trace.labels] in (["true"], ["false"])
    assert [one.kind for one in trace.decisions] == ["retrain", "release"]
    assert trace.rollouts[0].candidate == trace.version.id
    assert {one.action for one in trace.audit} == {"registry.register", "deployment.release"}


def test_what_is_not_there_is_said(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1d"))
    with pytest.raises(NotFound):
        trace_prediction(world.workspace, world.me, TracePrediction(prediction=new_id()))
    with pytest.raises(Invalid):
        trace_prediction(world.workspace, world.me, TracePrediction(prediction="first"))
