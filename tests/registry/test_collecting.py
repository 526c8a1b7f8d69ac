"""Deleted runs go for good, and nothing that something rests on goes with them."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from kept.core.errors import Forbidden, Invalid, NotFound
from kept.governance.actor import Actor, automation
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.registry.collecting import CollectRuns, FindGarbage, collect_runs, find_garbage
from kept.registry.registered_models import create_model
from kept.registry.registered_versions import create_version
from kept.registry.requests import CreateModel, CreateVersion
from kept.store import schema
from kept.tracking.artifacts import begin_artifact, end_artifact
from kept.tracking.experiments import create_experiment
from kept.tracking.points import Dataset, DatasetInput, Point
from kept.tracking.recording import create_logged_run, delete_run, log_inputs, log_run
from kept.tracking.requests import CreateExperiment, CreateRun, DeleteRun, LogInputs, LogRun
from kept.tracking.run import Run

pytestmark = pytest.mark.each_database

OF_RUNS = ("runs", "metrics", "points", "run_params", "run_tags", "run_datasets", "datasets", "artifacts")


class Later:
    """A clock that is ahead."""

    def __init__(self, workspace: Workspace, days: float) -> None:
        self._clock, self._ahead = workspace.clock, timedelta(days=days)

    def now(self) -> datetime:
        return self._clock.now() + self._ahead


@pytest.fixture
def experiment(workspace: Workspace, me: Actor) -> str:
    return create_experiment(workspace, me, CreateExperiment(name="churn")).id


def logged(workspace: Workspace, me: Actor, experiment: str, *, parent: str | None = None) -> Run:
    """A run with something of everything."""
    run = create_logged_run(workspace, me, CreateRun(experiment=experiment, parent=parent))
    points = [Point(name="loss", value=0.5, at=1, step=step) for step in range(5)]
    log_run(workspace, me, LogRun(run=run.id, metrics=points, params={"a": "1"}, tags={"b": "2"}))
    shared = DatasetInput(dataset=Dataset(name="rows", digest="d", source_type="file", source="s"))
    own = DatasetInput(dataset=Dataset(name=run.id, digest="d", source_type="file", source="s"))
    log_inputs(workspace, me, LogInputs(run=run.id, datasets=[shared, own]))
    path = f"{experiment}/{run.id}/artifacts/model.bin"
    with begin_artifact(workspace, me, path) as upload:
        upload.write(b"weights")
        end_artifact(workspace, me, path, upload)
    return run


def counts(workspace: Workspace) -> dict[str, int]:
    with workspace.database.reading() as connection:
        tables = [schema.metadata.tables[name] for name in OF_RUNS]
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables
        }


def files(workspace: Workspace, run: Run) -> Path:
    return workspace.root / "artifacts" / "files" / run.experiment / run.id


def later(workspace: Workspace, days: float) -> Workspace:
    return Workspace(**{**vars(workspace), "clock": Later(workspace, days)})


def test_what_was_deleted_long_ago_goes_whole_and_the_rest_stays(
    workspace: Workspace, me: Actor, experiment: str
) -> None:
    stays = logged(workspace, me, experiment)
    before = counts(workspace)
    goes = logged(workspace, me, experiment)
    delete_run(workspace, me, DeleteRun(run=goes.id))
    assert find_garbage(workspace, me, FindGarbage()) == []
    with pytest.raises(Invalid, match="was not deleted longer ago than 30d"):
        collect_runs(workspace, me, CollectRuns(runs=[goes.id]))
    month = later(workspace, 31)
    (found,) = find_garbage(month, me, FindGarbage())
    assert (found.run, found.points, found.files, found.bytes, found.held) == (goes.id, 5, 1, 7, "")
    assert files(workspace, goes).exists()
    assert collect_runs(month, me, CollectRuns(runs=[goes.id], reason="room")) == [found]
    assert counts(workspace) == before
    assert not files(workspace, goes).exists()
    assert (files(workspace, stays) / "artifacts" / "model.bin").read_bytes() == b"weights"
    entry = list_audit(workspace, me, ListAudit(action="runs.gc"))[0]
    assert entry.details["request"] == {"runs": [goes.id], "older_than": "30d", "reason": "room"}
    with pytest.raises(NotFound, match="there is no run"):
        collect_runs(month, me, CollectRuns(runs=[goes.id]))


def test_a_run_that_is_not_deleted_never_goes(workspace: Workspace, me: Actor, experiment: str) -> None:
    run = logged(workspace, me, experiment)
    with pytest.raises(Invalid, match="was not deleted"):
        collect_runs(later(workspace, 99), me, CollectRuns(runs=[run.id], older_than="0s"))


def test_what_a_version_was_made_of_stays(workspace: Workspace, me: Actor, experiment: str) -> None:
    create_model(workspace, me, CreateModel(name="churn"))
    runs = [logged(workspace, me, experiment) for _ in range(2)]
    for run in runs:
        request = CreateVersion(name="churn", source=f"{run.artifact_location}/model", run_id=run.id)
        create_version(workspace, me, request)
    for run in runs:
        delete_run(workspace, me, DeleteRun(run=run.id))
    month = later(workspace, 31)
    told = collect_runs(month, me, CollectRuns(runs=[run.id for run in runs]))
    assert {one.held for one in told} == {"churn version 1 was made of it", "churn version 2 was made of it"}
    assert all(files(workspace, run).exists() for run in runs)
    assert counts(workspace)["runs"] == 2


def test_a_run_that_others_are_parts_of_stays_until_they_are_deleted(
    workspace: Workspace, me: Actor, experiment: str
) -> None:
    parent = logged(workspace, me, experiment)
    child = logged(workspace, me, experiment, parent=parent.id)
    delete_run(workspace, me, DeleteRun(run=parent.id))
    month = later(workspace, 31)
    assert find_garbage(month, me, FindGarbage())[0].held == "a run that is a part of it is not deleted"
    delete_run(workspace, me, DeleteRun(run=child.id))
    assert [one.held for one in find_garbage(month, me, FindGarbage())] == ["", ""]


def test_only_who_administers_may(workspace: Workspace) -> None:
    with pytest.raises(Forbidden):
        collect_runs(workspace, automation("kept"), CollectRuns(runs=[]))
