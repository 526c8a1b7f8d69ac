"""Versions on trial: as a shadow, in an A/B test, as blue beside green, held when time runs out; on both databases."""

from datetime import timedelta

import polars as pl
import pytest
from world import NAME, MakeWorld, World

from kept.core.errors import KeptError
from kept.deployment.catalog import ListRollouts, list_rollouts
from kept.deployment.release import Advance, advance
from kept.deployment.rollback import RollBack, roll_back
from kept.deployment.rollout import Rollout
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.loop.rollout_report import ShowRollout, show_rollout
from kept.monitoring.incidents import ListIncidents, list_incidents
from kept.monitoring.records import save_state
from kept.monitoring.result import MonitorState
from kept.monitoring.wording import message_of
from kept.plan.project import Project
from kept.plan.windows import Windows

pytestmark = pytest.mark.each_database


def shadowed(project: Project) -> None:
    project.release(shadow="1d", shadow_rows=100, max_disagreement=0.05, canary=[0.5, 1.0], step="1d", step_rows=50)


def split(project: Project) -> None:
    project.release(ab={"champion": 0.5, "challenger": 0.5}, step="1d", step_rows=50, timeout="4d", on_timeout="hold")


def swift(project: Project) -> None:
    project.release(strategy="blue_green")


def careful(project: Project) -> None:
    project.release(canary=[0.5, 1.0], step="1d", step_rows=50, timeout="4d", quality_required=True)


def rollout_of(world: World) -> Rollout:
    found = world.status().rollout
    assert found is not None
    return found


def roles(world: World) -> list[tuple[int, str, float]]:
    route = world.status().route
    assert route is not None
    return [(arm.number, arm.role, arm.weight) for arm in route.arms]


def test_a_shadow_that_agrees_goes_on_to_its_canary_with_evidence(make_world: MakeWorld) -> None:
    world = make_world(shadowed)
    world.days(2)
    world.release(world.register())
    assert roles(world) == [(1, "champion", 1.0), (2, "shadow", 0.0)]
    assert rollout_of(world).share == 0.0
    assert rollout_of(world).rule.windows == Windows(length=timedelta(days=1))
    world.day()
    world.tick()
    report = show_rollout(world.workspace, world.me, ShowRollout(endpoint="flights"))
    assert report.now is not None
    assert report.now.pairs is not None
    assert (report.now.pairs.rows, report.now.pairs.disagreements) == (200, 0)
    world.days(1)
    assert roles(world) == [(1, "champion", 0.5), (2, "canary", 0.5)]
    moved = rollout_of(world).evidence[-1]
    assert moved.evidence is not None
    assert moved.evidence.pairs == 400
    assert moved.evidence.quality == "not worse"
    assert "400 of 400 rows as the champion" in moved.reason
    after = show_rollout(world.workspace, world.me, ShowRollout(endpoint="flights"))
    assert after.shadow is not None
    assert after.shadow.rows == 400
    verify_audit(world.workspace, world.me, VerifyAudit())
    assert list_audit(world.workspace, world.me, ListAudit(limit=1))[0].action == "loop.decide"
    world.days(2)
    assert roles(world) == [(2, "champion", 1.0)]


def test_a_shadow_that_disagrees_is_stopped_and_the_slices_say_where(make_world: MakeWorld) -> None:
    world = make_world(shadowed)
    world.days(2)
    version = world.register()
    world.contrary = {version.id}
    world.release(version)
    (happened,) = world.days(1)
    assert "rows otherwise than the champion; at most 5.00% may be." in happened
    assert roles(world) == [(1, "champion", 1.0)]
    report = show_rollout(world.workspace, world.me, ShowRollout(endpoint="flights"))
    assert report.shadow is not None
    assert report.shadow.disagreements > 190
    assert {one.column for one in report.shadow.slices} == {"x", "origin"}
    assert world.alerts("rolled_back")


def test_a_shadow_that_fails_is_stopped_and_nobody_is_told_of_an_outage(make_world: MakeWorld) -> None:
    world = make_world(shadowed)
    world.days(2)
    version = world.register()
    world.failing = {version.id}
    world.release(version)
    (happened,) = world.days(1)
    assert happened == "200 of 200 requests to the candidate failed; at most 1.00% may."
    assert world.alerts("errors") == []


def test_labels_of_the_returned_answers_judge_the_shadow(make_world: MakeWorld) -> None:
    def patient(project: Project) -> None:
        project.release(shadow="9d", canary=[0.5, 1.0])

    world = make_world(patient)
    world.days(2)
    version = world.register()
    world.contrary = {version.id}
    world.release(version)
    happened = world.days(2)
    assert happened[0].startswith("Its loss is higher than the champion's")


def test_an_ab_test_keeps_its_split_until_the_labels_tell(make_world: MakeWorld) -> None:
    world = make_world(split)
    world.days(1)
    first = rollout_of(world).candidate
    world.contrary = {first}
    world.release(world.register())
    assert roles(world) == [(1, "champion", 0.5), (2, "challenger", 0.5)]
    world.day()
    world.tick()
    report = show_rollout(world.workspace, world.me, ShowRollout(endpoint="flights"))
    assert report.now is not None
    assert report.now.champion.rows + report.now.candidate.rows == 200
    happened = world.days(3)
    assert roles(world) == [(2, "champion", 1.0)]
    assert any("Its loss is lower than the champion's" in one for one in happened)


def test_a_test_without_a_winner_is_held_when_its_time_is_over_until_a_person_decides(make_world: MakeWorld) -> None:
    world = make_world(split)
    world.days(1)
    world.release(world.register())
    happened = world.days(8, labels=False)
    assert [one for one in happened if "held as it is until a person decides" in one] == happened
    assert len(happened) == 1
    held = rollout_of(world)
    assert (held.state, held.phase, held.share) == ("held", "ab", 0.5)
    assert roles(world) == [(1, "champion", 0.5), (2, "challenger", 0.5)]
    assert [one.kind for one in world.decisions()][-1] == "keep"
    (alert,) = world.alerts("held")
    text = message_of(world.workspace.settings, alert, escalated=False).text
    assert 'kept rollout advance flights --reason "..."' in text
    assert 'kept rollback --endpoint flights --reason "..."' in text
    request = Advance(endpoint="flights", rollout=held.id, step=held.step, state="held", reason="It is cheaper.")
    advance(world.workspace, world.me, request)
    assert roles(world) == [(2, "champion", 1.0)]


def test_a_person_takes_back_what_is_held_and_its_incident_is_over(make_world: MakeWorld) -> None:
    world = make_world(split)
    world.days(1)
    world.release(world.register())
    world.days(6, labels=False)
    roll_back(world.workspace, world.me, RollBack(endpoint="flights", reason="It costs too much."))
    assert (rollout_of(world).state, rollout_of(world).reason) == ("rolled_back", "It costs too much.")
    assert roles(world) == [(1, "champion", 1.0)]
    world.tick()
    (incident,) = list_incidents(world.workspace, world.me, ListIncidents(endpoint="flights", kind="held"))
    assert incident.state == "resolved"


def test_what_is_held_still_goes_back_when_it_fails(make_world: MakeWorld) -> None:
    world = make_world(split)
    world.days(1)
    version = world.register()
    world.release(version)
    world.days(6, labels=False)
    assert rollout_of(world).state == "held"
    world.failing = {version.id}
    world.days(1, labels=False)
    assert rollout_of(world).state == "rolled_back"
    assert roles(world) == [(1, "champion", 1.0)]


def test_blue_green_takes_all_at_once_after_a_look_and_keeps_the_way_back(make_world: MakeWorld) -> None:
    world = make_world(swift)
    world.days(1)
    world.release(world.register())
    assert roles(world) == [(1, "champion", 1.0), (2, "shadow", 0.0)]
    world.days(1)
    assert roles(world) == [(2, "champion", 1.0), (1, "standby", 0.0)]
    roll_back(world.workspace, world.me, RollBack(endpoint="flights", reason="complaints"))
    assert roles(world) == [(1, "champion", 1.0)]
    (newest, *_) = list_rollouts(world.workspace, world.me, ListRollouts(endpoint="flights"))
    assert newest.state == "rolled_back"


def test_where_quality_is_required_labels_that_never_come_leave_it_to_a_person(make_world: MakeWorld) -> None:
    world = make_world(careful)
    world.days(2)
    world.release(world.register())
    world.days(6, labels=False)
    assert rollout_of(world).state == "held"
    assert roles(world) == [(1, "champion", 0.5), (2, "canary", 0.5)]
    assert "labels have not shown that it is no worse, which is required" in rollout_of(world).reason
    assert len(world.alerts("held")) == 1


def test_where_quality_is_required_labels_that_come_late_let_it_take_over(make_world: MakeWorld) -> None:
    world = make_world(careful)
    world.days(2)
    world.release(world.register())
    world.days(2, labels=False)
    assert rollout_of(world).state == "canary"
    world.rows = 4_000
    happened = world.days(2)
    assert rollout_of(world).state == "promoted"
    assert "Its loss is not higher than the champion's by 0.02 or more" in happened[-1]


def test_inputs_that_a_version_on_trial_does_not_take_are_not_missing(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.release(canary=[0.4, 1.0], step="9d"))
    world.days(2, labels=False)
    version = world.register(features=("x",))
    world.narrow = {version.id}
    world.release(version)
    world.days(4, labels=False)
    assert roles(world)[1] == (2, "canary", 0.4)
    assert world.alerts("quality") == world.alerts("drift") == world.alerts("skew") == []
    # What the champion is asked is watched all the same.
    world.shift = 2.0
    world.days(3, labels=False)
    assert len(world.alerts("drift")) == 1


def test_a_bad_version_is_rolled_back_though_a_monitor_fails(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.release(canary=[0.5, 1.0], step="1d", step_rows=50))
    world.days(2)
    version = world.register()
    world.failing = {version.id}
    world.release(version)
    unreadable = MonitorState(
        endpoint=NAME,
        monitor="traffic",
        version_id="",
        watermark=world.now,
        state=b"unreadable",
        updated_at=world.workspace.clock.now(),
    )
    with world.workspace.database.writing() as connection:
        save_state(connection, unreadable)
    world.day()
    with pytest.raises(KeptError):
        world.tick()
    assert rollout_of(world).state == "rolled_back"
    assert len(world.alerts("rolled_back")) == 1


def test_a_candidate_that_answers_late_is_rolled_back(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.release(canary=[0.5, 1.0], step="1d", step_rows=50))
    world.days(2)
    version = world.register()
    world.slow = {version.id}
    world.rows = 400
    world.release(version)
    (happened,) = world.days(1)
    assert happened.startswith("The candidate's median latency is ")
    assert rollout_of(world).state == "rolled_back"
    moved = rollout_of(world).evidence[-1].evidence
    assert moved is not None
    assert moved.slow_evidence > 20


def test_what_fails_in_a_shadow_counts_nothing_in_its_canary_before_that_is_asked(make_world: MakeWorld) -> None:
    world = make_world(shadowed)
    world.days(2)
    version = world.register()
    world.release(version)
    frame = world.day()
    few = frame.filter(pl.col("role") == "shadow").head(3)
    failed = few.select(pl.col("id") + "-again", "received_at", "version_id", "role", "latency_us", status=500)
    world.workspace.tables.append("prediction_errors/flights", failed)
    world.tick()
    world.days(1)
    assert roles(world) == [(1, "champion", 0.5), (2, "canary", 0.5)]
    report = show_rollout(world.workspace, world.me, ShowRollout(endpoint="flights"))
    assert report.now is not None
    assert (report.now.champion.rows, report.now.candidate.rows, report.now.candidate.errors) == (0, 0, 0)
    world.tick()
    assert roles(world) == [(1, "champion", 0.5), (2, "canary", 0.5)]
