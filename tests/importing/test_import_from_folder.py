"""A folder of MLflow's file store, brought over."""

import math
import shutil
from pathlib import Path

import pytest
from bringing import Bring
from mlflow_folder import MODEL, RUN, experiment, fill, meta, run, write

from kept.governance.actor import Actor
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.registry.registered import Stage
from kept.registry.registered_models import find_model
from kept.registry.registered_versions import show_registered
from kept.registry.requests import ShowRegisteredVersion
from kept.tracking.artifacts import ShowArtifact, files_of, show_artifact
from kept.tracking.experiment import Lifecycle, View
from kept.tracking.experiments import create_experiment, search_experiments
from kept.tracking.finding import metric_history, search_runs
from kept.tracking.importing import model_here
from kept.tracking.points import Point
from kept.tracking.recording import create_logged_run, log_run, set_run_tag
from kept.tracking.requests import (
    CreateExperiment,
    CreateRun,
    LogRun,
    MetricHistory,
    SearchExperiments,
    SearchRuns,
    SetRunTag,
)
from kept.tracking.run import RunData, RunStatus

pytestmark = pytest.mark.each_database


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    root = tmp_path / "mlruns"
    fill(root)
    return root


def _runs(workspace: Workspace, me: Actor, name: str = "churn") -> list[RunData]:
    found = search_experiments(workspace, me, SearchExperiments(view=View.ALL)).experiments
    ids = [one.id for one in found if one.name == name]
    return search_runs(workspace, me, SearchRuns(experiments=ids, view=View.ALL)).runs


def test_everything_comes_and_is_verified(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    report = bring(mlruns)
    assert report.complete, report
    tallies = {kind: (one.found, one.new, one.verified) for kind, one in report.tallies.items()}
    assert tallies == {
        "experiments": (3, 2, 3),
        "runs": (1, 1, 1),
        "points": (255, 255, 255),  # one line stands there twice
        "files": (3, 3, 3),
        "logged models": (1, 1, 1),
        "registered models": (1, 1, 1),
        "versions": (2, 2, 2),
    }
    assert [(one.what, one.count) for one in report.out_of_scope] == [("traces", 1)]
    (found,) = _runs(workspace, me)
    assert (found.run.id, found.run.name, found.run.user, found.run.status) == (
        RUN,
        "first",
        "grace",
        RunStatus.FINISHED,
    )
    assert found.run.started_at is not None
    assert found.run.started_at.timestamp() == 1_700_000_000
    assert found.params == {"depth": "3", "a/b": "nested\nlines"}
    assert found.datasets[0].tags == {"mlflow.data.context": "training"}
    assert (found.outputs[0].model, found.outputs[0].step) == (MODEL, 4)
    strange = metric_history(workspace, me, MetricHistory(run=RUN, name="strange")).points
    assert math.isnan(strange[0].value)
    assert [(one.at, one.step, one.value) for one in strange[1:]] == [(6, 2, math.inf), (7, 0, -math.inf), (8, 3, 2.5)]
    model = model_here(workspace, MODEL)
    assert model is not None
    point = model.metrics[0].point
    assert (point.value, point.dataset_name, point.dataset_digest) == (0.75, "my rows", "1f")


def test_files_stand_where_runs_models_and_versions_say(
    bring: Bring, mlruns: Path, workspace: Workspace, me: Actor
) -> None:
    bring(mlruns)
    (found,) = _runs(workspace, me)
    assert found.run.artifact_location == f"mlflow-artifacts:/{found.run.experiment}/{RUN}/artifacts"
    path = f"{found.run.experiment}/{RUN}/artifacts/model/weights.bin"
    assert files_of(workspace).locate(path).read_bytes() == b"w" * 5_000
    kept = show_artifact(workspace, me, ShowArtifact(path=path))
    assert kept is not None
    assert kept.size == 5_000
    assert find_model(workspace, "churn-model").aliases == {"champion": 2}
    first, second = (
        show_registered(workspace, me, ShowRegisteredVersion(name="churn-model", version=str(n))) for n in (1, 2)
    )
    assert first.location == f"{found.run.artifact_location}/model"
    model = model_here(workspace, MODEL)
    assert model is not None
    assert second.location == model.artifact_location
    assert (second.source, second.stage, second.tags) == (f"models:/{MODEL}", Stage.PRODUCTION, {"checked": "yes"})


def test_a_second_import_brings_nothing(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    bring(mlruns)
    before = len(list_audit(workspace, me, ListAudit(limit=1_000)))
    report = bring(mlruns)
    assert report.complete
    assert all((one.new, one.changed) == (0, 0) for one in report.tallies.values()), report.tallies
    assert report.bytes_brought == 0
    assert len(list_audit(workspace, me, ListAudit(limit=1_000))) == before
    thorough = bring(mlruns, thorough=True)
    assert all((one.new, one.changed) == (0, 0) for one in thorough.tallies.values()), thorough.tallies
    assert all(one.already == one.found for one in thorough.tallies.values()), thorough.tallies
    assert (thorough.tallies["points"].verified, thorough.tallies["files"].verified) == (255, 3)


def test_each_batch_is_one_entry_of_the_audit(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    bring(mlruns)
    entries = list_audit(workspace, me, ListAudit(action="imports.runs"))
    assert [one.details["request"]["points"] for one in entries] == [256]
    assert entries[0].subject == mlruns.as_uri()
    assert len(list_audit(workspace, me, ListAudit(limit=1_000))) < 10


def test_only_what_is_new_comes_later(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    bring(mlruns)
    set_run_tag(workspace, me, SetRunTag(run=RUN, name="mine", value="stays"))
    churn = mlruns / "571"
    with (churn / RUN / "metrics" / "loss").open("a") as stream:
        stream.write("1800000000000 0.25 999\n")
    write(churn / RUN, {"artifacts/more.txt": "new", "artifacts/notes é 1.txt": "seen again", "tags/state": "good"})
    run(churn, "1" * 32, run_name="later")
    report = bring(mlruns)
    assert report.complete
    tallies = report.tallies
    assert (tallies["runs"].new, tallies["runs"].changed) == (1, 1)
    assert tallies["points"].new == 1
    assert (tallies["files"].new, tallies["files"].changed) == (1, 1)
    first = next(one for one in _runs(workspace, me) if one.run.id == RUN)
    assert (first.run.tags["mine"], first.run.tags["state"]) == ("stays", "good")
    assert {one.name: one.value for one in first.latest}["loss"] == 0.25


def test_experiments_are_matched_by_name(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    mine = create_experiment(workspace, me, CreateExperiment(name="churn", tags={"team": "red"}))
    log_run(workspace, me, LogRun(run=create_logged_run(workspace, me, CreateRun(experiment=mine.id)).id))
    report = bring(mlruns)
    assert report.complete
    assert {one.run.experiment for one in _runs(workspace, me)} == {mine.id}
    assert len(_runs(workspace, me)) == 2
    found = search_experiments(workspace, me, SearchExperiments(view=View.ALL)).experiments
    assert {one.name: (one.lifecycle, one.tags) for one in found} == {
        "Default": (Lifecycle.ACTIVE, {}),
        "churn": (Lifecycle.ACTIVE, {"team": "red"}),
        "old": (Lifecycle.DELETED, {}),
    }


def test_the_id_of_another_run_is_not_taken_away(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    mine = create_experiment(workspace, me, CreateExperiment(name="mine"))
    create_logged_run(workspace, me, CreateRun(experiment=mine.id, id=RUN, name="mine"))
    log_run(workspace, me, LogRun(run=RUN, metrics=[Point(name="loss", value=7.0, at=1)]))
    report = bring(mlruns)
    assert report.complete, report
    assert [one.what for one in report.notes] == ["runs"]
    (brought,) = _runs(workspace, me)
    assert brought.run.id != RUN
    assert len(brought.run.id) == 32
    (kept,) = _runs(workspace, me, "mine")
    assert [one.value for one in kept.latest] == [7.0]
    version = show_registered(workspace, me, ShowRegisteredVersion(name="churn-model", version="1"))
    assert version.run_id == brought.run.id
    assert all((one.new, one.changed) == (0, 0) for one in bring(mlruns).tallies.values())


def test_a_folder_that_was_moved_is_the_same_runs(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    bring(mlruns)
    moved = mlruns.parent / "elsewhere"
    shutil.move(mlruns, moved)
    report = bring(moved)
    assert report.complete, report
    assert (report.tallies["runs"].new, report.tallies["points"].new, report.tallies["versions"].new) == (0, 0, 0)
    assert report.tallies["files"].already == 3
    assert len(_runs(workspace, me)) == 1


def test_a_rehearsal_writes_nothing(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    before = list_audit(workspace, me, ListAudit())
    report = bring(mlruns, rehearse=True)
    assert report.dry_run
    assert (report.tallies["runs"].new, report.tallies["points"].new, report.tallies["files"].new) == (1, 256, 3)
    assert not _runs(workspace, me)
    assert list_audit(workspace, me, ListAudit()) == before


def test_versions_that_others_registered_stay(bring: Bring, mlruns: Path, workspace: Workspace, me: Actor) -> None:
    bring(mlruns)
    other = mlruns.parent / "other"
    registered = other / "models" / "churn-model"
    meta(registered, name="churn-model", description="another", aliases={})
    write(registered, {"aliases/champion": "1", "aliases/best": "1"})
    meta(registered / "version-1", version=1, name="churn-model", source="s3://store/model", creation_timestamp=1)
    experiment(other, "0", "Default")
    report = bring(other)
    assert not report.complete  # the files of the version stay in their store
    assert [(one.what, one.examples) for one in report.notes] == [
        ("versions", ["churn-model 1 is 4"]),
        ("aliases", ["churn-model@champion"]),
    ]
    model = find_model(workspace, "churn-model")
    assert (model.description, model.aliases) == ("who leaves", {"best": 4, "champion": 2})
    fourth = show_registered(workspace, me, ShowRegisteredVersion(name="churn-model", version="4"))
    assert fourth.location == "s3://store/model"


def test_files_that_can_not_be_read_are_named_and_stay_where_they_are(
    bring: Bring, mlruns: Path, workspace: Workspace, me: Actor
) -> None:
    run(mlruns / "571", "2" * 32, artifact_uri="s3://store/571/files")
    report = bring(mlruns)
    assert not report.complete
    assert [(one.what, one.examples) for one in report.left_out] == [
        ("files of runs", [f"{'2' * 32}: s3://store/571/files"])
    ]
    far = next(one for one in _runs(workspace, me) if one.run.id == "2" * 32)
    assert far.run.artifact_location == "s3://store/571/files"
    assert not bring(mlruns).complete
