from collections.abc import Callable

import pytest

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiments import create_experiment
from kept.tracking.points import Point
from kept.tracking.recording import create_logged_run, log_run
from kept.tracking.requests import CreateExperiment, CreateRun, LogRun
from kept.tracking.run import Run


@pytest.fixture
def experiment(workspace: Workspace, me: Actor) -> str:
    """The id of an experiment."""
    return create_experiment(workspace, me, CreateExperiment(name="churn")).id


@pytest.fixture
def logged(workspace: Workspace, me: Actor, experiment: str) -> Callable[..., Run]:
    """Makes a run with these metrics, parameters and tags."""

    def make(
        name: str = "",
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Run:
        run = create_logged_run(workspace, me, CreateRun(experiment=experiment, name=name))
        points = [Point(name=name, value=value, at=1) for name, value in (metrics or {}).items()]
        log_run(workspace, me, LogRun(run=run.id, metrics=points, params=params or {}, tags=tags or {}))
        return run

    return make
