"""Predictions that come behind their window's count: they are counted where they belong, or shown as too late."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from world import APRIL, DAY, NAME, MakeWorld, World

from kept.core.errors import Invalid
from kept.governance.workspace import Workspace
from kept.loop.status import ShowLoop, show_loop
from kept.monitoring.catalog import ShowWindows, show_windows
from kept.monitoring.incidents import ListIncidents, list_incidents
from kept.monitoring.lateness import go_back
from kept.monitoring.plan import monitoring_plan
from kept.monitoring.records import states_of
from kept.monitoring.stream import Stream
from kept.plan.catalog import ShowProject, show_project
from kept.plan.objective import at_least
from kept.plan.policy import drift
from kept.plan.project import Project
from kept.testing.manual_clock import ManualClock


class Stamped:
    """Tables whose predictions bear when they were shipped; of those in `holding` all but so many wait in `held`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.keep: int | None = None
        self.first: str | None = None
        """Of which column the largest come first."""
        self.held: list[pl.DataFrame] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workspace.tables, name)

    def append(self, name: str, rows: pl.DataFrame) -> int:
        if self.keep is not None:
            if self.first is not None:
                rows = rows.sort(self.first, descending=True)
            self.held.append(rows[self.keep :])
            rows = rows[: self.keep]
        return self._workspace.tables.append(name, rows.with_columns(shipped_at=pl.lit(self._workspace.clock.now())))


class Late:
    """A world in which rows of some days are shipped later."""

    def __init__(self, world: World) -> None:
        self.world, self.clock = world, ManualClock(datetime.now(UTC))
        sound = replace(world.workspace, clock=self.clock)
        self.tables = Stamped(sound)
        tables: Any = self.tables
        world.workspace = replace(sound, tables=tables)

    def days(self, count: int, *, keep: int | None = None) -> None:
        """Days, each followed by a look; of their rows `keep` in time."""
        for _ in range(count):
            self.tables.keep = keep
            self.world.day()
            self.tables.keep = None
            self.world.tick()
            self.clock.advance(timedelta(hours=1))

    def ship(self) -> None:
        """What was held back."""
        for rows in self.tables.held:
            self.tables.append(f"predictions/{NAME}", rows)
        self.tables.held.clear()

    def results(self, *monitors: str) -> list[Any]:
        """All results of some monitors, but for the mark of a window that was counted again."""
        found = show_windows(self.world.workspace, self.world.me, ShowWindows(endpoint=NAME, limit=10_000))
        return [one for one in found if one.monitor in monitors and one.metric != "rows_recounted"]

    def values(self, metric: str) -> dict[int, float | None]:
        """A number of the service, by the day of April."""
        asked = ShowWindows(endpoint=NAME, monitor="service", metric=metric)
        return {one.start.day: one.value for one in show_windows(self.world.workspace, self.world.me, asked)}


MONITORS = ("drift", "columns", "quality", "service", "predictions")


@pytest.fixture
def make_late(make_world: MakeWorld) -> Callable[..., Late]:
    def make(**words: Any) -> Late:
        return Late(make_world(lambda project: project.monitor(window="1d", **words)))

    return make


def test_late_rows_are_counted_as_if_they_had_come_in_time(make_late: Callable[..., Late]) -> None:
    late = make_late()
    late.days(3)
    late.days(1, keep=40)
    late.days(1)
    assert late.values("rows") == {1: 200.0, 2: 200.0, 3: 200.0, 4: 40.0}
    late.ship()
    late.days(2)
    assert late.values("rows")[4] == 200.0
    assert late.values("rows_recounted") == {4: 200.0}
    (state,) = show_loop(late.world.workspace, late.world.me, ShowLoop(endpoint=NAME)).endpoints
    assert [one.start for one in state.windows if one.metric == "rows_recounted"] == [APRIL + 3 * DAY]
    found = late.results(*MONITORS)
    with late.world.workspace.database.writing() as connection:
        for table in ("monitor_states", "window_results", "monitor_checkpoints"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    late.world.tick()
    assert late.results(*MONITORS) == found


def test_rows_that_come_before_the_first_look_for_them_are_counted(make_late: Callable[..., Late]) -> None:
    late = make_late()
    late.days(1, keep=40)
    late.days(1)
    assert late.values("rows") == {1: 40.0}
    late.ship()
    late.clock.advance(timedelta(hours=1))
    late.days(2)
    assert late.values("rows") == {1: 200.0, 2: 200.0, 3: 200.0}


def test_labelled_rows_that_come_before_the_first_look_for_them_are_measured(make_late: Callable[..., Late]) -> None:
    late = make_late()
    late.days(1, keep=40)
    late.days(2)
    late.ship()
    late.clock.advance(timedelta(hours=1))
    late.days(2)
    measured = [one for one in late.results("performance") if one.metric == "coverage" and one.start == APRIL]
    assert [one.rows for one in measured] == [200]


def test_a_count_that_was_cut_short_goes_on(make_late: Callable[..., Late]) -> None:
    late = make_late()
    late.days(2)
    late.days(1, keep=40)
    late.days(1)
    late.ship()
    workspace, endpoint = late.world.workspace, late.world.status()
    assert endpoint.route is not None
    with workspace.database.reading() as connection:
        known = {one.monitor: one for one in states_of(connection, NAME)}
    plan = monitoring_plan(show_project(workspace, late.world.me, ShowProject(project=NAME)))
    late.clock.advance(timedelta(hours=1))
    champion = endpoint.route.route.champion.version_id
    since = go_back(
        workspace,
        plan,
        Stream(workspace, NAME),
        known["traffic"],
        version_id=champion,
        not_before=APRIL,
        closing=True,
    )
    assert since == APRIL + 2 * DAY
    # Nothing was judged yet: whoever comes next finds the windows open.
    late.days(1)
    assert late.values("rows") == {1: 200.0, 2: 200.0, 3: 200.0, 4: 200.0}
    assert late.values("rows_recounted") == {3: 200.0}


def test_rows_that_come_later_than_allowed_are_shown_as_too_late(make_late: Callable[..., Late]) -> None:
    late = make_late()
    late.days(1)
    late.days(1, keep=50)
    late.days(4)
    before = late.results("drift", "columns")
    late.ship()
    late.days(1)
    assert late.values("rows_too_late") == {2: 150.0}
    assert late.values("rows")[2] == 50.0
    assert late.values("rows_recounted") == {}
    assert [one for one in late.results("drift", "columns") if one.start < before[-1].start] == [
        one for one in before if one.start < before[-1].start
    ]


def test_what_late_rows_do_not_show_is_taken_back_and_nothing_is_told_twice(make_late: Callable[..., Late]) -> None:
    late = make_late()
    late.days(9)
    late.days(1, keep=10)
    late.days(1)
    (alert,) = late.world.alerts("quality")
    late.ship()
    late.days(2)
    assert [one.id for one in late.world.alerts("quality")] == [alert.id]
    (incident,) = list_incidents(late.world.workspace, late.world.me, ListIncidents(endpoint=NAME))
    assert (incident.state, incident.resolution) == ("resolved", "rows that came late do not show it")


def test_an_alarm_of_drift_that_late_rows_take_back_sets_off_no_training(make_world: MakeWorld) -> None:
    def waiting(project: Project) -> None:
        project.monitor(window="1d")
        project.retrain(on=[drift()], cooldown="9d")

    late = Late(make_world(waiting))
    late.days(3)
    late.tables.first = "feature_x"
    late.days(1, keep=60)
    late.days(1)
    assert len(late.world.alerts("drift")) == 1
    assert [one.kind for one in late.world.decisions()] == ["hold"]
    late.ship()
    late.days(8)
    (incident,) = list_incidents(late.world.workspace, late.world.me, ListIncidents(endpoint=NAME, kind="drift"))
    assert (incident.state, incident.resolution) == ("resolved", "rows that came late do not show it")
    assert [one.kind for one in late.world.decisions()] == ["hold"]


def test_an_alarm_that_late_rows_leave_as_it_is_is_not_told_again(make_late: Callable[..., Late]) -> None:
    late = make_late()
    late.days(2)
    late.world.shift = 1.5
    late.days(1, keep=150)
    late.days(1)
    (alert,) = late.world.alerts("drift")
    late.ship()
    late.days(2)
    assert [one.id for one in late.world.alerts("drift")] == [alert.id]
    (incident,) = list_incidents(late.world.workspace, late.world.me, ListIncidents(endpoint=NAME, kind="drift"))
    assert (incident.state, incident.alerts) == ("open", 1)


def test_lateness_is_bounded_by_the_states_that_are_remembered() -> None:
    project = Project("p", question="Late?", owner="ops", objectives=[at_least("roc_auc", 0.6)])
    project.monitor(window="1h", allowed_lateness="40h")
    with pytest.raises(Invalid, match="more than 40 windows"):
        project.monitor(window="1h", allowed_lateness="41h")
