"""Making the runner that executes a workspace's training pipelines, in the worker or in a command."""

import os

from kept.app.projects import Projects
from kept.governance.actor import automation
from kept.governance.workspace import Workspace
from kept.loop.decision import TRAINING
from kept.pipelines.runner import Runner
from kept.registry.adoption import ADOPTION

OPENER = "kept.app.workspace:open_root"


def make_runner(workspace: Workspace, projects: Projects) -> Runner:
    """The runner of the runs that make versions."""
    # Fitting threads that wait by spinning slow everything else on the machine down; the steps' processes inherit this.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return Runner(
        workspace, opener=OPENER, builder=projects.graph, actor=automation("kept"), kinds=(TRAINING, ADOPTION)
    )
