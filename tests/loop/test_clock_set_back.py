"""A clock that is set back: nothing is forgotten, and nothing is told twice."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from world import NAME, MakeWorld, World

from kept.core import ids
from kept.deployment.routing import Arm
from kept.governance.journal import VerifyAudit, verify_audit
from kept.loop.decisions import Decide, decide
from kept.loop.rollout_report import ShowRollout, show_rollout
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.incidents import Resolve, ShowIncident, resolve, show_incident
from kept.plan.policy import drift, every
from kept.plan.project import Project
from kept.testing.manual_clock import ManualClock
from kept.tracking.runs import queued_runs

HOUR = timedelta(hours=1)


def with_a_clock(world: World) -> ManualClock:
    clock = ManualClock(datetime.now(UTC))
    world.workspace = replace(world.workspace, clock=clock)
    return clock


def scheduled(project: Project) -> None:
    project.release(canary=[1.0])
    project.retrain(on=[every("3d")], cooldown="1d")


def patient(project: Project) -> None:
    project.retrain(on=[drift()], cooldown="1d", debounce="9d")


def test_every_training_is_settled(make_world: MakeWorld) -> None:
    world = make_world(scheduled)
    clock = with_a_clock(world)
    for _ in range(3):
        while not queued_runs(world.workspace, "training"):
            world.days(1, labels=False)
        world.train()
        clock.set(clock.now() - 2 * HOUR)
        world.days(1, labels=False)
    assert [one.kind for one in sorted(world.decisions(), key=lambda one: one.id)] == ["retrain", "release"] * 3
    verify_audit(world.workspace, world.me, VerifyAudit())


def test_what_waits_is_told_once(make_world: MakeWorld) -> None:
    world = make_world(patient)
    clock = with_a_clock(world)
    before = Decide(project=NAME, endpoint=NAME, kind="keep", trigger="person", reason="a person decides", evidence={})
    decide(world.workspace, world.kept, before)
    clock.set(clock.now() - 2 * HOUR)
    world.days(6, labels=False)
    world.shift = 2.5
    world.days(3, labels=False)
    for _ in range(3):
        world.tick()
    assert sorted(one.kind for one in world.decisions()) == ["hold", "keep"]


def test_the_alerts_of_an_incident_are_found(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(patient)
    told = msgspec.structs.replace(world.workspace.settings, webhook_url="https://hooks.example.org/kept")
    world.workspace = replace(world.workspace, settings=told)
    alarm = RaiseAlert(
        project=NAME, endpoint=NAME, kind="quality", severity="warning", title="odd", evidence={}, version_id="v"
    )
    first = raise_alert(world.workspace, world.kept, alarm)
    # As another process would make them: one of its own keeps its ids in order.
    earlier = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(time, "time_ns", lambda: earlier)
    again = raise_alert(world.workspace, world.kept, alarm)
    assert again.id < first.id
    resolve(world.workspace, world.me, Resolve(incident=first.id, reason="it was the sensor"))
    found = show_incident(world.workspace, world.me, ShowIncident(incident=first.id))
    assert {one.id for one in found.alerts} == {first.id, again.id}
    assert sorted(one.about for one in found.notices) == ["raised", "resolved"]


@pytest.mark.parametrize("set_right", [True, False])
@pytest.mark.parametrize("shadow", [True, False])
def test_a_trial_that_began_by_a_clock_that_was_ahead_is_looked_at(
    make_world: MakeWorld, *, shadow: bool, set_right: bool
) -> None:
    trial: dict[str, Any] = {"shadow": "1d", "shadow_rows": 50, "max_disagreement": 0.05} if shadow else {}
    world = make_world(lambda project: project.release(canary=[0.5, 1.0], step="1d", step_rows=50, **trial))
    clock = with_a_clock(world)
    world.days(2, labels=False)
    for fails in (True, False):
        clock.advance(timedelta(days=2))
        version = world.register()
        world.release(version)
        if set_right:
            clock.set(datetime.now(UTC))
        world.failing = {version.id} if fails and not shadow else set()
        world.contrary = {version.id} if fails and shadow else set()
        world.days(1, labels=False)
        clock.set(datetime.now(UTC))
        world.days(2, labels=False)
        rollout = world.status().rollout
        assert rollout is not None
        assert rollout.state == ("rolled_back" if fails else "promoted")


def test_a_later_step_that_began_by_a_clock_that_was_ahead_is_looked_at(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.release(canary=[0.4, 0.6, 1.0], step="12h", step_rows=50))
    clock = with_a_clock(world)
    world.days(2, labels=False)
    version = world.register()
    world.release(version)
    world.day(labels=False)
    clock.advance(timedelta(days=2))
    world.tick()
    clock.set(datetime.now(UTC))
    assert [arm.weight for arm in arms(world)] == [0.4, 0.6]
    world.failing = {version.id}
    world.days(1, labels=False)
    assert [arm.weight for arm in arms(world)] == [1.0]


@pytest.mark.parametrize("ahead", [0, 1])
def test_what_was_taken_ahead_is_looked_at_when_that_time_has_come(make_world: MakeWorld, ahead: int) -> None:
    world = make_world(lambda project: project.release(canary=[0.3, 0.5, 0.7, 1.0], step="12h", step_rows=50))
    clock = with_a_clock(world)
    world.days(2, labels=False)
    version = world.register()
    shares = []
    for step in range(3):
        clock.set(datetime.now(UTC) + timedelta(days=2 if step == ahead else 0))
        if step == 0:
            world.release(version)
        else:
            world.tick()
        shares.append(arms(world)[1].weight)
        clock.set(datetime.now(UTC))
        world.day()
    assert shares == [0.3, 0.5, 0.7]
    clock.advance(timedelta(days=3))
    report = show_rollout(world.workspace, world.me, ShowRollout(endpoint=NAME))
    assert report.now is not None
    assert 100 < report.now.candidate.rows < 180
    assert report.said is not None
    judged = report.said.evidence
    assert judged.champion_outcomes + judged.candidate_outcomes == 3 * 200
    world.tick()
    assert [arm.version_id for arm in arms(world)] == [version.id]


def arms(world: World) -> tuple[Arm, ...]:
    route = world.status().route
    assert route is not None
    return route.arms
