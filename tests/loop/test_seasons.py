"""An endpoint whose weekends are unlike its working days."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from world import NAME, World

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.measures.arrays import encode
from kept.measures.drift.reference import build_reference
from kept.monitoring.catalog import ShowWindows, show_windows

DAY = timedelta(days=1)
# The midnight with which a day of 25 hours begins.
LONG = datetime(2013, 4, 6, 13, tzinfo=UTC)
WEEKS, ROWS, WEEKEND = 4, 200, 1.0


def released(world: World, *, seasonal: bool) -> World:
    """With a reference of four weeks, told apart by weekday or not."""
    days = np.repeat(np.arange(7 * WEEKS), ROWS)
    weekdays = days % 7
    drawn = [world._draw(ROWS, WEEKEND * (day % 7 >= 5), 1.0) for day in range(7 * WEEKS)]
    table = {
        "x": np.concatenate([x for x, *_ in drawn]),
        "origin": np.array([name for _, names, *_ in drawn for name in names], dtype=object),
    }
    told = {"cycle": "day of week", "seasons": weekdays} if seasonal else {}
    made = build_reference(table, {"x": "numeric", "origin": "categorical"}, days, **told)  # type: ignore[arg-type]
    world.reference = world.workspace.blobs.put(encode(made))
    world.release(world.register())
    return world


@pytest.mark.parametrize("seasonal", [True, False])
def test_weekends_raise_no_alarm_and_a_change_does_where_the_season_is_declared(
    workspace: Workspace, me: Actor, tmp_path: Path, *, seasonal: bool
) -> None:
    world = World(workspace, me, tmp_path, lambda project: project.monitor(window="1d", season="day of week"))
    released(world, seasonal=seasonal)

    def live(days: int, change: float) -> int:
        for _ in range(days):
            world.shift = change + WEEKEND * (world.now.weekday() >= 5)
            world.day(labels=False)
            world.tick()
        return len(world.alerts("drift"))

    assert live(15, 0.0) == 0
    assert world.alerts("skew") == []
    # A pooled reference takes the change for a day between a working day and a weekend.
    assert live(4, 0.3) == (1 if seasonal else 0)


def test_a_release_is_held_against_the_days_that_its_first_rows_are_of(
    workspace: Workspace, me: Actor, tmp_path: Path
) -> None:
    world = World(workspace, me, tmp_path, lambda project: project.monitor(window="1d", season="day of week"))
    released(world, seasonal=True)
    # Working days that look like weekends, which a pooled reference knows as well as any.
    world.shift = WEEKEND
    for _ in range(4):
        world.day(labels=False)
        world.tick()
    (alert,) = world.alerts("skew")
    assert alert.evidence["rows"] == 3 * ROWS


@pytest.mark.parametrize("often", [True, False])
def test_days_are_those_of_the_declared_place(workspace: Workspace, me: Actor, tmp_path: Path, *, often: bool) -> None:
    """Sydney's clocks went back on 7 April 2013: its midnight is 13 o'clock UTC before, and 14 o'clock from then on."""
    zone = ZoneInfo("Australia/Sydney")
    world = World(workspace, me, tmp_path, lambda project: project.monitor(window="1d", time_zone=zone.key))
    world.release(world.register())
    for _ in range(10):
        world.day()
        if often:
            world.tick()
    for _ in range(2):
        world.tick()
    for monitor, days in (("service", 9), ("performance", 8)):
        found = show_windows(workspace, me, ShowWindows(endpoint=NAME, monitor=monitor))
        starts = sorted({one.start for one in found})
        assert [one.astimezone(zone).strftime("%d %H:%M") for one in starts] == [
            f"{1 + day:02} 00:00" for day in range(days + 1)
        ]
        assert {one.hour for one in starts} == {13, 14}
    (rows,) = show_windows(
        workspace, me, ShowWindows(endpoint=NAME, monitor="service", metric="rows", since=LONG, until=LONG + DAY)
    )
    assert rows.value == pytest.approx(200 * 25 / 24, abs=1)
