"""Several endpoints of one project: each is watched, trained for and released to by itself."""

import msgspec
import pytest
from world import NAME, MakeWorld, World

from kept.core.errors import KeptError
from kept.loop.decisions import RetrainNow, asked_for, retrain
from kept.loop.status import ShowLoop, show_loop
from kept.plan.policy import drift, every
from kept.plan.project import Project
from kept.tracking.runs import get_run


def declare(project: Project) -> None:
    project.retrain(on=[drift()], cooldown="1d")


def scheduled(project: Project) -> None:
    project.retrain(on=[drift(), every("9d")], cooldown="1d")


def both(world: World, days: int = 1, *, other: World) -> None:
    for _ in range(days):
        world.day()
        other.day()
        world.tick()


def pair(world: World, days: int = 6) -> tuple[World, World]:
    """Two endpoints, and days without anything new."""
    other = world.beside("flights-west", world.register())
    both(world, days, other=other)
    return world, other


def kinds(world: World) -> list[str]:
    return [one.kind for one in world.decisions() if one.endpoint == world.endpoint]


def state(world: World) -> str:
    rollout = world.status().rollout
    assert rollout is not None
    return rollout.state


@pytest.mark.each_database
def test_what_one_endpoint_was_trained_for_is_released_to_it_alone(make_world: MakeWorld) -> None:
    one, other = pair(make_world(declare))
    other.shift = 1.5
    both(one, 3, other=other)
    assert kinds(other) == ["retrain"]
    status = {each.endpoint: each for each in show_loop(one.workspace, one.me, ShowLoop()).endpoints}
    assert (status["flights"].training, status["flights-west"].training) == (False, True)
    assert status["flights"].run is None
    other.train()
    both(one, 1, other=other)
    assert kinds(one) == []
    assert kinds(other)[:2] == ["retrain", "release"]
    assert (state(one), state(other)) == ("promoted", "canary")


def test_one_waits_for_the_training_of_the_other_and_then_has_its_own(make_world: MakeWorld) -> None:
    one, other = pair(make_world(declare))
    one.shift = other.shift = 1.5
    both(one, 4, other=other)
    assert kinds(one) == ["retrain"]
    assert kinds(other) == []
    one.train()
    both(one, 1, other=other)
    assert kinds(one)[:2] == ["retrain", "release"]
    assert kinds(other) == ["retrain"]
    other.train()
    both(one, 1, other=other)
    assert kinds(other)[:2] == ["retrain", "release"]


def test_the_training_of_one_is_no_training_of_the_other(make_world: MakeWorld) -> None:
    one, other = pair(make_world(scheduled))
    other.shift = 1.5
    both(one, 2, other=other)
    assert (kinds(one), kinds(other)) == ([], ["retrain"])
    other.train()
    both(one, 3, other=other)
    (asked,) = [each for each in one.decisions() if (each.endpoint, each.kind) == (NAME, "retrain")]
    assert asked.trigger == "schedule"


def test_a_persons_training_is_for_every_endpoint(make_world: MakeWorld) -> None:
    one, other = pair(make_world(declare), 1)
    retrain(one.workspace, one.me, RetrainNow(project=NAME, reason="new rules", until=one.now))
    one.train()
    both(one, 1, other=other)
    assert kinds(one)[:1] == kinds(other)[:1] == ["release"]
    both(one, 3, other=other)
    assert (state(one), state(other)) == ("promoted", "promoted")


def test_a_persons_training_that_fails_is_told_of_once(make_world: MakeWorld) -> None:
    one, other = pair(make_world(declare), 1)
    retrain(one.workspace, one.me, RetrainNow(project=NAME, reason="new rules", until=one.now))
    one.train(error="out of memory")
    both(one, 2, other=other)
    assert kinds(one) == kinds(other) == ["reject"]
    assert len(one.alerts("failed") + other.alerts("failed")) == 1


def test_a_person_trains_for_one_endpoint_alone(make_world: MakeWorld) -> None:
    one, other = pair(make_world(declare), 1)
    asked = RetrainNow(project=NAME, reason="new rules in the west", endpoint="flights-west", until=one.now)
    run = get_run(one.workspace, retrain(one.workspace, one.me, asked).run_id or "")
    assert asked_for(run, asked)
    assert not asked_for(run, msgspec.structs.replace(asked, endpoint=None))
    other.train()
    both(one, 1, other=other)
    assert kinds(one) == []
    assert kinds(other) == ["retrain", "release"]
    for name, project, what in (
        ("flights-east", NAME, "flights-east"),
        ("flights", "trains", "belongs to the project"),
    ):
        with pytest.raises(KeptError, match=what):
            retrain(one.workspace, one.me, RetrainNow(project=project, reason="again", endpoint=name))
