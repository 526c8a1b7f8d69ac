"""Inputs that are held against the champion's first windows of serving, where the project declares it."""

from pathlib import Path

import pytest
from world import NAME, MakeWorld, World

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.catalog import ShowMonitors, show_monitors
from kept.plan.project import Project

from test_seasons import WEEKEND, released  # isort: skip


def by_serving(project: Project) -> None:
    project.monitor(window="1d", reference="serving")


def seen(world: World) -> int | None:
    """The windows that the drift detector of the champion has judged."""
    found = show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME)).drift
    return None if found is None else found.seen


@pytest.mark.parametrize("reference", ["training", "serving"])
def test_traffic_unlike_training_that_was_accepted_is_no_drift_and_a_change_of_it_is(
    make_world: MakeWorld, reference: str
) -> None:
    world = make_world(lambda project: project.monitor(window="1d", reference=reference))
    world.shift = 1.0
    world.days(14)
    # The detector begins behind ten whole windows; the eleventh and those after it were judged.
    alarms = world.alerts("drift")
    assert (len(alarms), seen(world)) == ((0, 3) if reference == "serving" else (1, 13))
    world.shift = 1.8
    world.days(4)
    (alert,) = world.alerts("drift")
    told = "this version's first 10 windows of serving" if reference == "serving" else "the training rows"
    assert alert.evidence["against"] == told
    assert alert.evidence["columns"][0]["name"] == "x"


def test_each_champion_has_an_accepted_period_of_its_own(make_world: MakeWorld) -> None:
    world = make_world(by_serving)
    world.days(13)
    assert seen(world) == 2
    world.shift = 1.0
    second = world.register()
    world.release(second)
    world.days(12)
    # It was a canary for two days: its ten windows as champion are not over.
    assert seen(world) is None
    world.days(4)
    assert (seen(world) or 0) > 0
    # To the first version the change was drift; to the second it is how its serving began.
    assert [one.version_id for one in world.alerts("drift")] != []
    assert second.id not in {one.version_id for one in world.alerts("drift")}


def test_windows_are_accepted_for_two_whole_weeks_where_weekdays_are_told_apart(
    workspace: Workspace, me: Actor, tmp_path: Path
) -> None:
    world = World(
        workspace,
        me,
        tmp_path,
        lambda project: project.monitor(window="1d", season="day of week", reference="serving"),
    )
    released(world, seasonal=True)

    def live(days: int, change: float) -> None:
        for _ in range(days):
            world.shift = change + WEEKEND * (world.now.weekday() >= 5)
            world.day(labels=False)
            world.tick()

    live(15, 0.5)
    assert seen(world) is None
    live(8, 0.5)
    assert seen(world) == 8
    assert world.alerts("drift") == []
    live(4, 1.1)
    assert len(world.alerts("drift")) == 1
