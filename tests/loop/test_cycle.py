from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from world import APRIL, DAY, NAME, MakeWorld, World

from kept.core.clock import format_time
from kept.core.errors import Conflict
from kept.governance.actor import Actor
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.governance.workspace import Workspace
from kept.loop.decisions import RetrainNow, retrain
from kept.monitoring.catalog import ShowMonitors, ShowWindows, show_monitors, show_windows
from kept.monitoring.records import find_state
from kept.plan.policy import broken, decay, drift, every, new_data
from kept.plan.project import Project
from kept.registry.consent import Approve, approve
from kept.testing.manual_clock import ManualClock
from kept.tracking.runs import cancel, queued_runs


def test_peace_is_quiet(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[drift(), decay(), broken()]))
    assert world.days(12) == []
    assert world.alerts("drift") == world.alerts("decay") == world.alerts("quality") == []
    assert world.decisions() == []


def test_drift_is_found_trained_for_released_and_promoted(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[drift()], cooldown="1d"))
    world.days(3)
    world.shift = 1.0
    world.days(3)
    (alert,) = world.alerts("drift")
    assert alert.evidence["budget"].endswith("; 40% of that is this one's")
    assert alert.evidence["columns"][0]["name"] == "x"
    (run,) = queued_runs(world.workspace, "training")
    (asked,) = world.decisions()
    assert (asked.kind, asked.trigger, asked.run_id) == ("retrain", "drift", run.id)
    assert run.request["until"] == format_time(asked.event_time or APRIL)
    assert world.tick() == []
    world.train()
    world.tick()
    assert [arm.weight for arm in world.status().route.arms] == [0.5, 0.5]  # type: ignore[union-attr]
    world.days(4)
    rollout = world.status().rollout
    assert rollout is not None
    assert rollout.state == "promoted"
    assert [one.kind for one in world.decisions()] == ["retrain", "release", "promote"]
    assert {one.trigger for one in world.decisions()} == {"drift"}
    verify_audit(world.workspace, world.me, VerifyAudit())
    assert len(list_audit(world.workspace, world.me, ListAudit(action="loop.decide"))) == 3


def test_a_worse_loss_is_decay(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[decay()], cooldown="1d"))
    world.days(3)
    world.useful = -0.6
    world.days(6)
    (alert,) = world.alerts("decay")
    assert "40% of that is this one's, which is" in alert.evidence["budget"]
    assert [one.trigger for one in world.decisions()] == ["decay"]


def test_a_broken_objective_is_said_once_while_it_lasts(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[broken(windows=2)], cooldown="30d"))
    world.days(2)
    world.useful = 0.0
    world.days(8)
    (alert,) = world.alerts("objective")
    assert alert.title == "roc_auc at least 0.6 does not hold"
    assert alert.evidence["windows_in_a_row"] == 2


def test_what_still_holds_after_a_rejected_training_is_said_again(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[drift()], cooldown="4d"))
    world.days(3)
    world.shift = 1.0
    world.days(3)
    world.train(auc=0.5)
    (said,) = world.tick()
    assert said.startswith("Version 2 is rejected")
    assert len(world.alerts("rejected")) == 1
    world.days(2)
    assert [one.kind for one in world.decisions()] == ["retrain", "reject", "hold"]
    world.days(4)
    assert [one.kind for one in world.decisions()] == ["retrain", "reject", "hold", "retrain"]
    assert len(world.alerts("drift")) == 2


def test_a_failed_training_is_told_and_not_tried_at_once(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[every("2d")], cooldown="2d"))
    world.days(3)
    world.train(error="the source is away")
    (said,) = world.tick()
    assert "the source is away" in said
    assert len(world.alerts("failed")) == 1
    world.days(1)
    assert [one.kind for one in world.decisions()] == ["retrain", "reject"]
    world.days(2)
    assert [one.kind for one in world.decisions()] == ["retrain", "reject", "retrain"]


def test_a_failing_candidate_is_rolled_back(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[every("2d")], cooldown="2d"))
    champion = world.status().route.route.champion.version_id  # type: ignore[union-attr]
    world.days(3)
    world.train()
    world.tick()
    rollout = world.status().rollout
    assert rollout is not None
    world.failing.add(rollout.candidate)
    world.days(1)
    route = world.status().route
    assert route is not None
    assert [arm.version_id for arm in route.arms] == [champion]
    assert world.decisions()[-1].kind == "roll_back"
    assert len(world.alerts("rolled_back")) == 1


def test_a_person_may_ask_and_not_twice(make_world: MakeWorld, me: Actor) -> None:
    world = make_world(lambda project: project.retrain(on=[new_data(500)], cooldown="1d"))
    request = RetrainNow(project=NAME, reason="new airport")
    decision = retrain(world.workspace, me, request)
    assert decision.trigger == "person"
    with pytest.raises(Conflict):
        retrain(world.workspace, me, request)
    world.days(1)
    cancel(world.workspace, decision.run_id or "", "cancelled by ada")
    (said,) = world.tick()
    assert said == "The training was cancelled by ada."
    world.days(6)
    assert [one.trigger for one in world.decisions()] == ["person", "person", "data"]


def test_approvals_are_waited_for(make_world: MakeWorld) -> None:
    def declare(project: Project) -> None:
        project.retrain(on=[every("2d")], cooldown="2d")
        project.release(canary=[0.5, 1.0], step="1d", step_rows=50, approvals=1)

    world = make_world(declare)
    approve(world.workspace, world.me, Approve(model=NAME, version="1"))
    world.tick()
    world.days(3)
    world.train()
    world.days(2)
    assert world.status().rollout.state == "waiting"  # type: ignore[union-attr]
    approve(world.workspace, world.me, Approve(model=NAME, version="2"))
    assert world.tick() == ["The rollout begins: 1 of 1 people have approved it."]
    assert world.status().rollout.state == "canary"  # type: ignore[union-attr]


def test_looking_often_and_looking_late_find_the_same(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[drift()], cooldown="90d"))
    for _ in range(5):
        world.day()
        for _ in range(3):
            world.tick()
    often = rows_of(world)
    with world.workspace.database.writing() as connection:
        for table in ("monitor_states", "window_results"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    world.tick()
    assert rows_of(world) == often


def rows_of(world: World) -> list[Any]:
    query = "SELECT start, monitor, metric, slice, value, rows, holds FROM window_results ORDER BY 1, 2, 3, 4"
    with world.workspace.database.reading() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_labels_that_come_late_are_added_to_their_window(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1d"))
    frame = world.day(labels=False)
    world.days(3)
    coverage = "SELECT value FROM window_results WHERE metric = 'coverage' ORDER BY start LIMIT 1"
    with world.workspace.database.reading() as connection:
        assert connection.exec_driver_sql(coverage).scalar() == 0.0
    world.label(dict.fromkeys(frame["key"].to_list()[:100], True))
    world.day()
    world.tick()
    with world.workspace.database.reading() as connection:
        assert connection.exec_driver_sql(coverage).scalar() == 0.5


class Stamped:
    """Tables whose predictions bear when they were shipped; where half of them is `held`, it is to be shipped later."""

    def __init__(self, workspace: Workspace, held: list[pl.DataFrame] | None = None) -> None:
        self._workspace, self._held = workspace, held

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workspace.tables, name)

    def append(self, name: str, rows: pl.DataFrame) -> int:
        if name.startswith("predictions/"):
            rows = rows.with_columns(shipped_at=pl.lit(self._workspace.clock.now()))
            if self._held is not None:
                self._held.append(rows.head(100))
                rows = rows.tail(100)
        return self._workspace.tables.append(name, rows)


@pytest.mark.parametrize("set_back", [timedelta(0), timedelta(minutes=30), timedelta(hours=5)])
def test_predictions_that_are_shipped_behind_their_labels_are_added_to_their_window(
    make_world: MakeWorld, set_back: timedelta
) -> None:
    world = make_world(lambda project: project.monitor(window="1d"))
    clock = ManualClock(datetime.now(UTC))
    sound, held = replace(world.workspace, clock=clock), list[pl.DataFrame]()
    tables: Any = Stamped(sound, held)
    world.workspace = replace(sound, tables=tables)
    world.day()
    world.workspace = sound
    clock.advance(timedelta(hours=9))
    world.days(3)
    count = (
        "SELECT rows FROM window_results WHERE metric = 'log_loss' AND monitor = 'performance' ORDER BY start LIMIT 1"
    )
    with sound.database.reading() as connection:
        assert connection.exec_driver_sql(count).scalar() == 100
    clock.set(clock.now() - set_back)
    sound.tables.append(f"predictions/{NAME}", held[0].with_columns(shipped_at=pl.lit(clock.now())))
    clock.advance(timedelta(minutes=5))
    # No label comes any more: the next window that closes brings the look.
    world.day(labels=False)
    world.tick()
    with sound.database.reading() as connection:
        assert connection.exec_driver_sql(count).scalar() == 200


def test_windows_that_nothing_was_added_to_are_not_measured_again(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1d"))
    sound = world.workspace
    tables: Any = Stamped(sound)
    world.workspace = replace(sound, tables=tables)
    world.days(4)
    first = "FROM window_results WHERE metric = 'coverage' AND monitor = 'performance'"
    marked = f"UPDATE window_results SET value = -1 WHERE metric = 'coverage' AND start = (SELECT min(start) {first})"
    with sound.database.writing() as connection:
        assert connection.exec_driver_sql(marked).rowcount == 1
    world.days(2)
    with sound.database.reading() as connection:
        assert connection.exec_driver_sql(f"SELECT min(value) {first}").scalar() == -1


def test_what_is_remembered_of_labels_is_left_alone_until_some_come(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1d"))
    clock = ManualClock(datetime.now(UTC))
    world.workspace = replace(world.workspace, clock=clock)
    frame = world.day(labels=False)
    world.days(3)
    world.tick()
    before = remembered(world)
    for _ in range(3):
        clock.advance(timedelta(minutes=1))
        world.tick()
    assert remembered(world) == before
    world.label(dict.fromkeys(frame["key"].to_list()[:100], True))
    # No prediction has come: the clock alone tells that it is time to look.
    clock.advance(timedelta(minutes=1))
    world.tick()
    assert remembered(world) == clock.now()
    coverage = "SELECT value FROM window_results WHERE metric = 'coverage' ORDER BY start LIMIT 1"
    with world.workspace.database.reading() as connection:
        assert connection.exec_driver_sql(coverage).scalar() == 0.5


def remembered(world: World) -> datetime:
    """When what is remembered of labels was written."""
    with world.workspace.database.reading() as connection:
        found = find_state(connection, NAME, "labelled", "")
    assert found is not None
    return found.updated_at


def test_the_clock_of_one_sender_closes_no_windows(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1d"))
    world.now += timedelta(days=40_000)
    world.day(labels=False)
    world.now = APRIL
    world.days(2)
    with world.workspace.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(DISTINCT start) FROM window_results").scalar() == 1


def test_one_event_of_long_ago_does_not_hold_the_others_up(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1h"))
    world.now, world.rows = APRIL - timedelta(days=365 * 40), 3
    world.day()
    world.now, world.rows = APRIL, 200
    world.day()
    for _ in range(5):
        world.tick()
    with world.workspace.database.reading() as connection:
        found = connection.exec_driver_sql("SELECT count(DISTINCT start), max(start) FROM window_results").one()
    assert found[0] < 60
    last = (APRIL + timedelta(hours=22) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert found[1] == last


def test_the_budget_of_decay_is_one_of_time_though_the_first_window_had_few_labels(make_world: MakeWorld) -> None:
    world = make_world(lambda _: None)
    world.rows = 10
    world.days(1)
    world.rows = 200
    world.days(16)
    detector = show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME)).decay
    assert detector is not None
    assert detector.budget > 0.9 * 90 * world.rows / 0.4


def test_a_window_in_the_middle_of_which_serving_began_is_no_drift(make_world: MakeWorld) -> None:
    """Its hours are not those of a day: what depends on them is unlike the training rows by that alone."""
    world = make_world(lambda project: project.monitor(window="1d"))
    world.now += timedelta(hours=12)
    world.days(4)
    found = show_windows(world.workspace, world.me, ShowWindows(endpoint=NAME, monitor="drift", metric="drift"))
    assert [one.start for one in found] == [APRIL + day * DAY for day in (1, 2, 3)]
