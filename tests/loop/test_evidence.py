"""What monitors add to the loop's evidence: causes of a decay, estimates beside labels, drift of the answers."""

import pytest
from world import NAME, MakeWorld

from kept.monitoring.catalog import ShowMonitors, ShowWindows, show_monitors, show_windows
from kept.monitoring.causes import ShowCauses, show_causes
from kept.monitoring.estimates import ShowEstimates, show_estimates


def test_decay_comes_with_its_causes_and_estimates_are_compared(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    world.days(6)
    world.useful = -1.0
    world.days(4)
    (alert,) = world.alerts("decay")
    assert alert.evidence["budget"].startswith("at most one false alarm")
    found = show_causes(world.workspace, world.me, ShowCauses(endpoint=NAME))
    assert found.causes.rise > 0
    assert found.causes.outcomes > 0.7 * found.causes.rise
    assert sum(one.part for one in found.causes.shifts) + found.causes.outcomes == pytest.approx(found.causes.rise)
    told = show_estimates(world.workspace, world.me, ShowEstimates(endpoint=NAME, metric="roc_auc"))
    assert told.compared[0].windows >= 4
    # What labels said after the change is what no estimate can see.
    assert told.windows[-1].agrees in {False, None}
    assert any(one.agrees for one in told.windows)


def test_answers_that_move_are_a_finding(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    world.days(12)
    assert not [one for one in world.alerts("quality") if "predictions" in one.title]
    world.shift = 1.5
    world.days(3)
    (alert,) = [one for one in world.alerts("quality") if "predictions" in one.title]
    assert alert.evidence["against"] == "this version's first 10 windows of serving"
    shown = show_windows(world.workspace, world.me, ShowWindows(endpoint=NAME, monitor="predictions", slice=""))
    assert [one.holds for one in shown][-1] is False
    detector = show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME)).predictions
    assert detector is not None
    assert detector.alarmed
    assert (detector.value or 0.0) >= detector.budget == pytest.approx(450)


def test_detectors_of_another_version_are_not_shown_as_those_of_the_champion(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    world.days(6)
    assert show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME)).drift is not None
    second = world.register()
    world.release(second)
    seen = set()
    for _ in range(8):
        world.days(1)
        route, found = world.status().route, show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME))
        assert route is not None
        shown = [one for one in (found.drift, found.decay, found.predictions, found.attribution) if one is not None]
        assert all(one.version_id == route.route.champion.version_id for one in shown)
        seen |= {one.version_id for one in shown}
    assert second.id in seen
