"""Acting within bounds: dry runs, budgets, what has gone meanwhile, and the rows that a training learns from."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import APRIL, NAME, MakeWorld, World

from kept.core.clock import format_time, parse_time
from kept.core.durations import duration
from kept.core.errors import Invalid
from kept.loop import retraining
from kept.loop.decisions import Decide, RetrainNow, decide, retrain
from kept.loop.incident_answers import ShowAnswer, show_answer
from kept.loop.triggers import Situation, choose
from kept.monitoring.alert import Alert
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.incidents import ListIncidents, Resolve, list_incidents, resolve
from kept.monitoring.records import save_results
from kept.monitoring.result import WindowResult
from kept.plan.catalog import ensure_registered
from kept.plan.objective import at_least
from kept.plan.policy import Retrain, decay, drift, estimated, every
from kept.plan.project import Project
from kept.tracking.runs import queued_runs

START = datetime(2013, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def declared(**changes: object) -> Callable[[Project], None]:
    def declare(project: Project) -> None:
        project.retrain(**({"on": [drift()], "cooldown": "1d"} | changes))  # type: ignore[arg-type]

    return declare


def drifted(world: World) -> None:
    world.days(6)
    world.shift = 2.5
    world.days(3)


def test_a_dry_run_tells_once_what_it_would_do_and_does_nothing(make_world: MakeWorld) -> None:
    world = make_world(declared(dry_run=True))
    drifted(world)
    world.days(3)
    assert queued_runs(world.workspace, "training") == []
    (told,) = world.decisions()
    assert (told.kind, told.trigger, told.run_id) == ("dry_run", "drift", None)
    assert told.reason == "Would train again: the inputs have drifted, on all rows"
    (alert,) = world.alerts("drift")
    assert told.evidence["would"] == "retrain"
    assert told.evidence["triggers"][0]["alerts"] == [alert.id]
    assert show_answer(world.workspace, world.me, ShowAnswer(incident=alert.id)) == [told]


def test_a_person_trains_in_a_dry_run_and_nothing_is_released(make_world: MakeWorld) -> None:
    world = make_world(declared(dry_run=False))
    settings = msgspec.structs.replace(world.workspace.settings, dry_run=True)
    world.workspace = replace(world.workspace, settings=settings)
    world.days(2)
    retrain(world.workspace, world.me, RetrainNow(project=NAME, reason="new airport"))
    world.train()
    world.days(3)
    assert [(one.kind, one.evidence.get("would")) for one in world.decisions()] == [
        ("retrain", None),
        ("dry_run", "release"),
    ]
    rollout = world.status().rollout
    assert rollout is None or not rollout.running


def test_a_rollout_stays_where_it_is_in_a_dry_run(make_world: MakeWorld) -> None:
    world = make_world(declared())
    drifted(world)
    world.train()
    world.tick()
    before = world.status().rollout
    assert before is not None
    assert before.running
    settings = msgspec.structs.replace(world.workspace.settings, dry_run=True)
    world.workspace = replace(world.workspace, settings=settings)
    world.days(4)
    after = world.status().rollout
    assert after is not None
    assert (after.step, after.state) == (before.step, before.state)
    (told,) = [one for one in world.decisions() if one.kind == "dry_run"]
    assert told.evidence["would"] in {"advance", "promote", "roll_back"}
    assert told.evidence["rollout"] == before.id


def test_what_a_person_has_resolved_sets_off_no_training(make_world: MakeWorld) -> None:
    world = make_world(declared(debounce="4d"))
    drifted(world)
    assert [one.kind for one in world.decisions()] == ["hold"]
    (incident,) = list_incidents(world.workspace, world.me, ListIncidents(standing=True))
    resolve(world.workspace, world.me, Resolve(incident=incident.id, reason="a planned change"))
    world.days(6)
    assert {one.kind for one in world.decisions()} == {"hold"}


def test_what_a_training_did_not_mend_is_raised_and_told_again(make_world: MakeWorld) -> None:
    world = make_world(declared())
    drifted(world)
    world.train(auc=0.5)
    world.tick()
    request = ListIncidents(kind="drift")
    (first,) = list_incidents(world.workspace, world.me, request)
    assert (first.state, first.resolution) == ("open", "")
    world.tick()
    (first,) = list_incidents(world.workspace, world.me, request)
    assert (first.state, first.resolution) == ("resolved", "a training that knew of it has ended")
    world.days(3)
    assert [one.state for one in list_incidents(world.workspace, world.me, request)] == ["open", "resolved"]


def test_it_learns_from_the_change_on(make_world: MakeWorld) -> None:
    world = make_world(declared(since_change="1d", window="90d"))
    world.days(8)
    changed = world.now
    world.shift = 1.5
    while not world.decisions():
        world.days(1)
    (asked,) = world.decisions()
    (run,) = queued_runs(world.workspace, "training")
    learns_since = parse_time(run.request["until"], where="until") - duration(run.request["window"])
    assert abs(learns_since - changed) <= DAY
    assert "on the rows since the change of" in asked.evidence["data"]


def test_the_change_is_where_the_evidence_grew_though_an_old_windows_labels_came_last(make_world: MakeWorld) -> None:
    world = make_world(declared(on=[decay()], since_change="1d", window="90d"))
    world.days(9, labels=False)
    champion = world.status().route
    assert champion is not None
    version, value, told = champion.route.champion.version_id, 0.0, []
    for day, growth in ((0, 0.5), (1, 0.5), (2, 0.5), (3, 0.5), (5, 9.0), (6, 9.0), (7, 9.0), (4, 0.8)):
        after = (1 + value) * growth
        told.append(
            WindowResult(
                endpoint=NAME,
                version_id=version,
                start=APRIL + day * DAY,
                monitor="decay",
                metric="decay",
                value=after,
                low=value,
                high=1_000.0,
                rows=200,
                holds=after < 1_000,
            )
        )
        value = after
    with world.workspace.database.writing() as connection:
        save_results(connection, told)
    alarm = RaiseAlert(
        project=NAME,
        endpoint=NAME,
        kind="decay",
        severity="critical",
        title="the loss on labelled predictions has risen",
        evidence={},
        version_id=version,
        event_time=APRIL + 5 * DAY,
    )
    raise_alert(world.workspace, world.kept, alarm)
    world.tick()
    (asked,) = world.decisions()
    assert asked.evidence["change"] == format_time(APRIL + 5 * DAY)


def test_a_training_after_a_change_is_followed_by_one_on_more_of_what_came_since(make_world: MakeWorld) -> None:
    world = make_world(declared(cooldown="2d", since_change="1d", follow_up=1))
    world.days(8)
    changed = world.now
    world.shift = 1.5
    while not world.decisions():
        world.days(1)
    world.train()
    for _ in range(8):
        if not queued_runs(world.workspace, "training"):
            world.days(1)
    (run,) = queued_runs(world.workspace, "training")
    followed = world.decisions()[-1]
    assert (followed.kind, followed.trigger, followed.run_id) == ("retrain", "follow_up", run.id)
    learns_since = parse_time(run.request["until"], where="until") - duration(run.request["window"])
    assert abs(learns_since - changed) <= DAY
    world.train()
    world.days(8)
    assert queued_runs(world.workspace, "training") == []


@pytest.mark.parametrize(("high", "holds", "acts"), [(0.58, False, True), (0.62, False, False), (0.58, None, False)])
def test_it_acts_on_an_estimate_that_surely_fails_and_can_be_trusted(
    make_world: MakeWorld, high: float, holds: bool | None, *, acts: bool
) -> None:
    world = make_world(declared(on=[estimated(windows=2)]))
    world.days(3, labels=False)
    champion = world.status().route
    assert champion is not None
    told = [
        WindowResult(
            endpoint=NAME,
            version_id=champion.route.champion.version_id,
            start=world.now - DAY * back,
            monitor="estimate",
            metric="estimated_roc_auc",
            value=0.55,
            low=0.52,
            high=high,
            rows=200,
            holds=holds,
        )
        for back in (3, 2)
    ]
    with world.workspace.database.writing() as connection:
        save_results(connection, told)
    world.tick()
    assert [(one.kind, one.trigger) for one in world.decisions()] == ([("retrain", "estimate")] if acts else [])


def test_it_learns_from_as_much_as_is_needed_at_least(make_world: MakeWorld) -> None:
    world = make_world(declared(since_change="60d"))
    drifted(world)
    (run,) = queued_runs(world.workspace, "training")
    assert duration(run.request["window"]) == 60 * DAY


def test_a_schedule_knows_of_no_change(make_world: MakeWorld) -> None:
    world = make_world(declared(on=[every("3d")], since_change="1d", window="30d"))
    world.days(6)
    (run,) = queued_runs(world.workspace, "training")
    assert run.request["window"] is None
    assert "on the rows since" in world.decisions()[0].evidence["data"]


def test_the_first_training_is_a_persons_and_no_retraining(make_world: MakeWorld) -> None:
    world = make_world(declared())
    other = Project("trains", question="Late?", owner="ops", objectives=[at_least("roc_auc", 0.6)])
    ensure_registered(world.workspace, world.me, other, world.workspace.root / "project.py")
    first = retrain(world.workspace, world.me, RetrainNow(project="trains", reason="the first"))
    assert (first.kind, first.trigger, first.run_id is None) == ("train", "person", False)
    again = retrain(world.workspace, world.me, RetrainNow(project=NAME, reason="again"))
    assert again.kind == "retrain"


def drift_alert(day: float) -> Alert:
    return Alert(
        id="a", project="p", endpoint="e", kind="drift", severity="warning", title="drifted", evidence={},
        version_id="v", event_time=START + day * DAY, at=START,
    )  # fmt: skip


def test_the_budget_of_trainings_is_kept_and_what_waits_is_not_lost() -> None:
    policy = Retrain(on=(drift(),), cooldown=DAY, at_most=2, per=30 * DAY)
    spent = (START + 5 * DAY, START + 20 * DAY)
    there = Situation(now=START + 25 * DAY, last_training=spent[1], alerts=(drift_alert(24),), trainings=spent)
    held = choose(policy, there)
    assert held.action == "hold"
    assert held.reason == "drifted; the budget of 2 trainings in 30d is used up until 2013-04-05T00:00:00Z"
    assert choose(policy, msgspec.structs.replace(there, now=START + 35 * DAY)).action == "retrain"


@given(st.integers(1, 3), st.integers(1, 20), st.lists(st.integers(0, 3), min_size=30, max_size=60))
def test_never_more_trainings_than_the_budget_in_any_stretch(at_most: int, per: int, alarms: list[int]) -> None:
    policy = Retrain(on=(drift(),), cooldown=timedelta(0), at_most=at_most, per=per * DAY)
    trained: list[datetime] = []
    for day, alarm in enumerate(alarms):
        now = START + day * DAY
        last = trained[-1] if trained else START - DAY
        alerts = (drift_alert(day),) if alarm else ()
        if (
            choose(policy, Situation(now=now, last_training=last, alerts=alerts, trainings=tuple(trained))).action
            == "retrain"
        ):
            trained.append(now)
    for one in trained:
        assert sum(one <= other < one + per * DAY for other in trained) <= at_most


@pytest.mark.parametrize(
    "wrong",
    [
        {"at_most": 0},
        {"since_change": "0d"},
        {"per": "0d"},
        {"since_change": "soon"},
        {"follow_up": -1},
        {"follow_up": 1, "cooldown": "0d"},
    ],
)
def test_wrong_bounds_are_refused(wrong: dict[str, object]) -> None:
    project = Project("flights", question="Late?", owner="ops", objectives=[at_least("roc_auc", 0.6)])
    with pytest.raises(Invalid):
        declared(**wrong)(project)


def standing(world: World, kind: str) -> list[str]:
    found = list_incidents(world.workspace, world.me, ListIncidents(endpoint=NAME, kind=kind, standing=True))  # type: ignore[arg-type]
    return [one.title for one in found]


def test_what_went_wrong_with_a_training_is_over_with_the_next_that_comes_through(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[every("3d")], cooldown="1d"))
    world.days(4)
    world.train(error="no memory")
    world.days(1)
    assert standing(world, "failed") == ["the training failed"]
    world.days(2)
    world.train(auc=0.5)
    world.days(1)
    assert standing(world, "failed") == []
    assert standing(world, "rejected") == ["the new version is rejected"]
    world.days(2)
    world.train()
    world.days(1)
    assert standing(world, "rejected") == []


def test_answers_that_drifted_are_over_with_the_version(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    world.days(12)
    world.shift = 1.5
    world.days(3)
    assert "the predictions have drifted" in standing(world, "quality")
    world.release(world.register())
    world.days(9)
    assert "the predictions have drifted" not in standing(world, "quality")


def test_a_persons_training_does_not_make_old_alarms_new(make_world: MakeWorld) -> None:
    world = make_world(declared(cooldown="7d"))
    drifted(world)
    world.train(auc=0.5)
    world.tick()
    retrain(world.workspace, world.me, RetrainNow(project=NAME, reason="another try"))
    world.train(auc=0.5)
    world.days(3)
    assert [one.trigger for one in world.decisions() if one.kind == "retrain"] == ["drift", "person"]


def test_many_other_alerts_do_not_push_out_the_one_that_is_waited_for(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retraining, "_MOST_ALERTS", 3)
    world = make_world(declared(debounce="3d"))
    drifted(world)
    for place in range(4):
        other = RaiseAlert(
            project=NAME,
            endpoint=NAME,
            kind="quality",
            severity="warning",
            title=f"a rule {place}",
            evidence={},
            version_id=world.alerts("drift")[0].version_id,
            event_time=world.now,
        )
        raise_alert(world.workspace, world.me, other)
    world.days(3)
    assert [one.kind for one in world.decisions()] == ["hold", "retrain"]


def test_two_endpoints_of_a_project_that_both_wait_are_told_of_once_each(make_world: MakeWorld) -> None:
    world = make_world(declared(debounce="9d"))
    drifted(world)
    (held,) = world.decisions()
    other = Decide(project=NAME, kind="hold", trigger="drift", reason="another endpoint waits, too", evidence={})
    decide(world.workspace, world.kept, other)
    for _ in range(3):
        world.tick()
    assert [one.reason for one in world.decisions()] == [held.reason, other.reason]
