"""A version's story: why it was trained, how it came to serve, and what took its place."""

import pytest
from world import NAME, MakeWorld

from kept.core.errors import NotFound
from kept.deployment.catalog import ListRollouts, list_rollouts
from kept.deployment.release import Advance, advance
from kept.loop.story import TellVersion, tell_version
from kept.plan.policy import drift


def test_a_version_tells_why_it_was_trained_how_it_came_to_serve_and_what_replaced_it(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[drift()], cooldown="1d"))
    world.days(3)
    world.shift = 1.0
    world.days(2)
    world.train()
    world.tick()
    first = tell_version(world.workspace, world.me, TellVersion(model=NAME, version="1"))
    assert [one.state for one in first.rollouts] == ["promoted"]
    assert first.successors == (), "the second one is on trial"
    while (rollout := list_rollouts(world.workspace, world.me, ListRollouts(endpoint=NAME))[0]).running:
        step = Advance(endpoint=NAME, rollout=rollout.id, step=rollout.step, reason="looked at it")
        advance(world.workspace, world.me, step)
    second = tell_version(world.workspace, world.me, TellVersion(model=NAME))
    assert [one.kind for one in second.decisions] == ["retrain", "release"]
    assert second.decisions[0].trigger == "drift"
    assert second.rollouts[0].evidence[-1].reason
    (successor,) = tell_version(world.workspace, world.me, TellVersion(model=NAME, version="1")).successors
    assert (successor.endpoint, successor.number) == (NAME, 2)
    assert "looked at it" in successor.reason


def test_a_version_that_is_not_there_has_no_story(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1d"))
    with pytest.raises(NotFound):
        tell_version(world.workspace, world.me, TellVersion(model=NAME, version="99"))
