"""Labels that come later than their window was judged, or are corrected: the detector of decay goes by what is known now."""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from world import APRIL, DAY, NAME, MakeWorld, World

from kept.measures.arrays import encode
from kept.monitoring.catalog import MonitorStatus, ShowMonitors, ShowWindows, show_monitors, show_windows
from kept.monitoring.incidents import ListIncidents, list_incidents
from kept.monitoring.judged import Judged
from kept.monitoring.labelled_state import read_state
from kept.monitoring.records import save_state
from kept.monitoring.result import WindowResult
from kept.plan.policy import broken, decay
from kept.plan.project import Project


def declared(project: Project) -> None:
    project.monitor(window="1d", false_alarm_every="20d")


def values(world: World) -> list[WindowResult]:
    return show_windows(world.workspace, world.me, ShowWindows(endpoint=NAME, monitor="decay"))


def status(world: World) -> MonitorStatus:
    return show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME))


def turned(world: World, days: int) -> list[dict[str, bool]]:
    """Days whose labels are all wrong; gives the right ones."""
    right = []
    for _ in range(days):
        frame = world.day(labels=False)
        said = dict(zip(frame["key"], frame["score"] > 0.5, strict=True))
        right.append(said)
        world.label({key: not late for key, late in said.items()})
        world.tick()
    return right


def test_an_alarm_that_corrected_labels_do_not_show_is_taken_back(make_world: MakeWorld) -> None:
    world = make_world(declared)
    world.days(4)
    right = turned(world, 2)
    world.days(2)
    assert len(world.alerts("decay")) == 1
    before = values(world)
    assert [one.holds for one in before][-2:] == [False, False]
    for one in right:
        world.label(one)
    world.days(1)
    after = values(world)
    assert [one.start for one in after][: len(before)] == [one.start for one in before]
    assert all(one.holds for one in after)
    detector = status(world).decay
    assert detector is not None
    assert not detector.alarmed
    assert detector.value == after[-1].value
    (incident,) = list_incidents(world.workspace, world.me, ListIncidents(endpoint=NAME, kind="decay"))
    assert (incident.state, incident.resolution) == (
        "resolved",
        "labels that came later, or were corrected, do not show it",
    )
    turned(world, 2)
    world.days(2)
    assert len(world.alerts("decay")) == 2


def test_an_alarm_that_was_taken_back_sets_off_no_training(make_world: MakeWorld) -> None:
    def waiting(project: Project) -> None:
        declared(project)
        project.retrain(on=[decay()], cooldown="12d")

    world = make_world(waiting)
    world.days(4)
    right = turned(world, 2)
    world.days(2)
    assert [one.kind for one in world.decisions()] == ["hold"]
    for one in right:
        world.label(one)
    world.days(8)
    assert [one.kind for one in world.decisions()] == ["hold"]


def test_an_alarm_is_not_taken_back_by_more_traffic(make_world: MakeWorld) -> None:
    world = make_world(declared)
    world.rows = 20
    world.days(3)
    for _ in range(40):
        frame = world.day(labels=False)
        said = zip(frame["key"], frame["score"] > 0.5, strict=True)
        world.label({key: late == (place % 5 > 1) for place, (key, late) in enumerate(said)})
        world.tick()
        if world.alerts("decay"):
            break
    world.rows = 4000
    world.days(3)
    found = values(world)
    assert [one.holds for one in found][-1]
    assert found[-1].rows == 4000
    detector = status(world).decay
    assert detector is not None
    assert detector.alarmed
    (incident,) = list_incidents(world.workspace, world.me, ListIncidents(endpoint=NAME, kind="decay"))
    assert incident.state == "open"


def test_corrected_labels_that_show_decay_alarm_for_their_window(make_world: MakeWorld) -> None:
    world = make_world(declared)
    frames = [world.day() for _ in range(3)]
    for _ in range(3):
        world.days(1)
    assert world.alerts("decay") == []
    for frame in frames:
        world.label(dict(zip(frame["key"], frame["score"] <= 0.5, strict=True)))
    world.days(1)
    (alert,) = world.alerts("decay")
    first = next(one for one in values(world) if one.holds is False)
    assert alert.evidence["detector"] == first.value
    assert alert.evidence["window"]["start"].startswith(f"{first.start:%Y-%m-%d}")


def test_it_stands_as_if_the_labels_had_been_known_at_once(make_world: MakeWorld) -> None:
    world = make_world(declared)
    frames = [world.day(labels=False) for _ in range(4)]
    world.tick()
    right = [dict(zip(one["key"], one["score"] > 0.5, strict=True)) for one in frames]
    for labels in right[::-1]:
        world.label(dict(list(labels.items())[:50]))
        world.day(labels=False)
        world.tick()
    for labels in right:
        world.label(labels)
    world.day(labels=False)
    world.tick()
    found = values(world)
    assert [one.rows for one in found] == [200] * 4
    assert found[0].low == 0.0
    for earlier, later in pairwise(found):
        assert later.low == earlier.value
    detector = status(world).decay
    assert detector is not None
    assert (detector.seen, detector.value) == (800, found[-1].value)


@pytest.mark.parametrize("watched", [True, False])
def test_estimates_are_learned_from_the_corrected_labels(make_world: MakeWorld, *, watched: bool) -> None:
    world = make_world(declared)
    if not watched:
        world.loss = None
        world.release(world.register())
        world.days(3, labels=False)
        assert status(world).decay is None
    world.days(2)
    right = turned(world, 3)
    world.days(2, labels=False)
    assert agreeing(world)[-600:].mean() == 0.0
    for one in right:
        world.label(one)
    world.days(1, labels=False)
    found = agreeing(world)
    assert found.size == 1000
    assert found[-600:].mean() == 1.0
    # The days before are as they were: scores are right for most of them.
    assert 0.6 < found[:400].mean() < 0.9


def agreeing(world: World, which: Literal["memory", "baseline"] = "memory") -> np.ndarray:
    """Which of the labelled predictions that are remembered were right, oldest first."""
    _, state = read_state(world.workspace, NAME)
    assert state is not None
    memory = state.champion.memory if which == "memory" else state.champion.baseline
    return np.asarray((memory.scores > 0.5) == (memory.labels == 1.0))


def breaking(**words: Any) -> Callable[[Project], None]:
    """A project that takes an objective for broken after two windows in a row, or over a stretch."""

    def declare(project: Project) -> None:
        declared(project)
        project.retrain(on=[broken(**words)], cooldown="60d")

    return declare


def objectives(world: World) -> list[tuple[str, str]]:
    """The incidents of objectives: how each stands, and why."""
    found = list_incidents(world.workspace, world.me, ListIncidents(endpoint=NAME, kind="objective"))
    return [(one.state, one.resolution) for one in found]


TWO_WAYS = [{"windows": 2}, {"over": "2d"}]
NOT_SHOWN = "labels that came later, or were corrected, do not show it"


@pytest.mark.parametrize("words", TWO_WAYS)
def test_an_objective_that_corrected_labels_do_not_break_is_taken_back(
    make_world: MakeWorld, words: dict[str, Any]
) -> None:
    world = make_world(breaking(**words))
    world.days(2)
    right = turned(world, 2)
    world.days(3)
    assert len(world.alerts("objective")) == 1
    assert objectives(world) == [("open", "")]
    for one in right:
        world.label(one)
    world.days(1)
    assert objectives(world) == [("resolved", NOT_SHOWN)]
    assert status(world).standing == ()
    turned(world, 2)
    world.days(2)
    # What breaks again is said again.
    assert len(world.alerts("objective")) == 2


@pytest.mark.parametrize("words", TWO_WAYS)
def test_an_objective_that_corrected_labels_break_is_told_for_its_window(
    make_world: MakeWorld, words: dict[str, Any]
) -> None:
    world = make_world(breaking(**words))
    frames = [world.day() for _ in range(3)]
    world.days(2)
    assert world.alerts("objective") == []
    for frame in frames:
        world.label(dict(zip(frame["key"], frame["score"] <= 0.5, strict=True)))
    world.days(1)
    (alert,) = world.alerts("objective")
    assert alert.event_time == APRIL + 2 * DAY
    assert alert.evidence["measured"][0]["value"] < 0.1
    assert alert.evidence.get("windows_in_a_row") == words.get("windows")


def test_windows_count_in_the_order_of_their_events_whenever_their_labels_come(make_world: MakeWorld) -> None:
    world = make_world(breaking(windows=3))
    frames = [world.day(labels=False) for _ in range(4)]
    wrong = [dict(zip(one["key"], one["score"] <= 0.5, strict=True)) for one in frames]
    wrong[1] = {key: not late for key, late in wrong[1].items()}
    world.tick()
    # The third, first and fourth are wrong, and come in a row; the second, between them, holds.
    for place in (2, 0, 3, 1):
        world.label(wrong[place])
        world.day(labels=False)
        world.tick()
    assert objectives(world) == [("resolved", NOT_SHOWN)]
    assert status(world).standing == ()


def test_causes_are_told_against_corrected_labels(make_world: MakeWorld) -> None:
    world = make_world(breaking(windows=3))
    right = turned(world, 2)
    world.days(2)
    assert agreeing(world, "baseline")[:400].mean() == 0.0
    for one in right:
        world.label(one)
    world.days(1)
    found = agreeing(world, "baseline")
    assert found.size == 600
    assert found[:400].mean() == 1.0
    assert 0.6 < found[400:].mean() < 0.9


def forget_windows(world: World, *, unfed: tuple[datetime, ...] = (), streaks: dict[str, int] | None = None) -> None:
    """The state as it was stored before windows were remembered."""
    known, state = read_state(world.workspace, NAME)
    assert known is not None
    assert state is not None
    old = msgspec.structs.replace(state.champion, judged=Judged(), unfed=unfed, streaks=streaks or {})
    data = encode(msgspec.structs.replace(state, champion=old))
    with world.workspace.database.writing() as connection:
        save_state(connection, msgspec.structs.replace(known, state=data))


def test_labels_of_windows_from_before_an_upgrade_reach_the_detector(make_world: MakeWorld) -> None:
    world = make_world(declared)
    world.days(2)
    frame = world.day(labels=False)
    world.tick()
    world.days(2)
    before = values(world)
    forget_windows(world, unfed=(APRIL + 2 * DAY,))
    world.label(dict(zip(frame["key"], frame["score"] <= 0.5, strict=True)))
    world.tick()
    world.days(1)
    assert APRIL + 2 * DAY not in {one.start for one in before}
    assert APRIL + 2 * DAY in {one.start for one in values(world)}


def test_corrections_of_windows_from_before_an_upgrade_reach_the_detector(make_world: MakeWorld) -> None:
    world = make_world(declared)
    world.days(4)
    right = turned(world, 2)
    world.days(2)
    assert len(world.alerts("decay")) == 1
    forget_windows(world)
    for one in right:
        world.label(one)
    world.days(1)
    assert all(one.holds for one in values(world))


def test_windows_in_a_row_go_on_over_an_upgrade(make_world: MakeWorld) -> None:
    world = make_world(breaking(windows=3))
    world.days(2)
    turned(world, 3)
    assert objectives(world) == []
    _, state = read_state(world.workspace, NAME)
    assert state is not None
    streaks = list(state.champion.judged.course(broken()))[-1].streaks
    assert max(streaks.values()) == 1
    forget_windows(world, streaks=streaks)
    turned(world, 2)
    assert [one[0] for one in objectives(world)] == ["open"]
