from collections.abc import Callable
from pathlib import Path

import pytest
from world import MakeWorld, World

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.plan.project import Project


@pytest.fixture
def make_world(workspace: Workspace, me: Actor, tmp_path: Path) -> MakeWorld:
    """A world whose project declares what the function adds, with its first version released."""

    def make(declare: Callable[[Project], None]) -> World:
        world = World(workspace, me, tmp_path, declare)
        world.release(world.register())
        return world

    return make
