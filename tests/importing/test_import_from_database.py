"""A database of MLflow's, SQLite or PostgreSQL, brought over; it is never written."""

import hashlib
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from bringing import Bring
from mlflow_database import (
    CHILD,
    DELETED,
    EXPERIMENTS,
    FILES,
    MODEL,
    MODEL_VERSIONS,
    REGISTERED_MODEL_ALIASES,
    REGISTERED_MODELS,
    RUN,
    RUNS,
    Rows,
    fill,
    opened,
)
from sqlalchemy import text, update

from kept.core.errors import Invalid
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.registry.registered_models import find_model
from kept.registry.registered_versions import create_version, show_registered
from kept.registry.requests import CreateVersion, ShowRegisteredVersion
from kept.tracking.artifacts import files_of
from kept.tracking.experiment import Lifecycle
from kept.tracking.finding import metric_history
from kept.tracking.importing import model_here, runs_here
from kept.tracking.requests import MetricHistory
from kept.tracking.run import RunStatus
from postgres_server import Server


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "mlruns"


@pytest.fixture
def rows(tmp_path: Path, files: Path) -> Iterator[Rows]:
    with opened(f"sqlite:///{tmp_path}/mlflow.db") as rows:
        fill(rows, files)
        yield rows


@pytest.mark.each_database
def test_everything_comes_and_is_verified(
    bring: Bring, rows: Rows, tmp_path: Path, files: Path, workspace: Workspace, me: Actor
) -> None:
    report = bring(tmp_path / "mlflow.db")
    assert report.complete, report
    tallies = {kind: (one.found, one.new, one.verified) for kind, one in report.tallies.items()}
    assert tallies == {
        "experiments": (3, 2, 3),
        "runs": (3, 3, 3),
        "points": (255, 255, 255),
        "files": (4, 4, 4),
        "logged models": (1, 1, 1),
        "registered models": (1, 1, 1),
        "versions": (2, 2, 2),
    }
    assert {one.what: one.count for one in report.out_of_scope} == {"traces": 2, "prompts": 1, "webhooks": 1}
    found = runs_here(workspace, [RUN, CHILD, DELETED])
    assert found[RUN].params["long"] == "x" * 7_000
    assert found[RUN].datasets[0].dataset.name == "rows"
    assert found[RUN].outputs[0].step == 4
    assert (found[CHILD].status, found[CHILD].model_inputs) == (RunStatus.RUNNING, [MODEL])
    assert found[CHILD].tags["mlflow.runName"] == "second"
    assert (found[DELETED].status, found[DELETED].lifecycle) == (RunStatus.CANCELLED, Lifecycle.DELETED)
    strange = metric_history(workspace, me, MetricHistory(run=RUN, name="strange")).points
    assert sorted(str(one.value) for one in strange) == ["-2.0", "nan"]
    model = model_here(workspace, MODEL)
    assert model is not None
    assert (model.name, model.params, model.metrics[0].run) == ("net", {"layers": "2"}, RUN)
    home = found[RUN].location.removeprefix("mlflow-artifacts:/")
    for path, content in FILES.items():
        if RUN in path:
            below = path.partition("artifacts/")[2]
            kept = files_of(workspace).locate(f"{home}/{below}").read_bytes()
            assert hashlib.sha256(kept).digest() == hashlib.sha256(content).digest()
    assert find_model(workspace, "churn-model").aliases == {"champion": 3}
    version = show_registered(workspace, me, ShowRegisteredVersion(name="churn-model", version="3"))
    assert version.location == model.artifact_location
    again = bring(tmp_path / "mlflow.db")
    assert all((one.new, one.changed) == (0, 0) for one in again.tallies.values()), again.tallies


def test_the_files_of_copies_come_too(
    bring: Bring, rows: Rows, tmp_path: Path, files: Path, workspace: Workspace, me: Actor
) -> None:
    model, run = str(files / "7" / "models" / MODEL / "artifacts"), str(files / "7" / RUN / "artifacts" / "model")
    copies = [
        # Copied by its version, by a version of a copy, and registered by the address of the files alone.
        {"name": "churn-model", "version": 4, "source": "models:/churn-model/3", "storage_location": model},
        {"name": "churn-model", "version": 5, "source": "models:/churn-model/4", "storage_location": model},
        {"name": "churn-model", "version": 6, "source": model, "storage_location": model},
        {"name": "churn-model", "version": 7, "source": "models:/churn-model/1", "storage_location": run},
    ]
    for copy in copies:
        rows.put(MODEL_VERSIONS, copy)
    report = bring(tmp_path / "mlflow.db")
    assert report.complete, report

    def location(number: int) -> str:
        return show_registered(workspace, me, ShowRegisteredVersion(name="churn-model", version=str(number))).location

    assert location(4) == location(5) == location(6) == location(3)
    assert location(7) == location(1)
    assert location(3).startswith("mlflow-artifacts:/")


def test_what_stands_at_no_address_is_left_out(bring: Bring, rows: Rows, tmp_path: Path) -> None:
    rows.put(RUNS, {"run_uuid": "e" * 32, "name": "far", "experiment_id": 7, "artifact_uri": "s3://[store"})
    rows.put(REGISTERED_MODELS, {"name": "far"})
    rows.put(MODEL_VERSIONS, {"name": "far", "version": 1, "source": "s3://[store", "storage_location": "//[store"})
    report = bring(tmp_path / "mlflow.db")
    assert [(one.what, one.count, one.examples) for one in report.left_out] == [
        ("runs", 1, ["e" * 32]),
        ("registered models", 1, ["far"]),
    ]
    assert (report.tallies["runs"].verified, report.tallies["versions"].verified) == (3, 2)


def test_the_number_of_a_deleted_version_is_not_given_again(
    bring: Bring, rows: Rows, tmp_path: Path, workspace: Workspace, me: Actor
) -> None:
    rows.put(MODEL_VERSIONS, {"name": "churn-model", "version": 9, "source": "", "current_stage": "Deleted_Internal"})
    for _ in range(2):
        assert bring(tmp_path / "mlflow.db").complete
    made = create_version(workspace, me, CreateVersion(name="churn-model", source="s3://bucket/model"))
    assert made.number == 10
    again = bring(tmp_path / "mlflow.db")
    assert all((one.new, one.changed) == (0, 0) for one in again.tallies.values()), again.tallies


def test_a_database_in_postgresql_is_read(bring: Bring, postgres: Server, tmp_path: Path, files: Path) -> None:
    with postgres.fresh() as url:
        with (
            opened(url.replace("postgresql://", "postgresql+psycopg://")) as there,
            there._engine.begin() as connection,
        ):
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        with opened(url.replace("postgresql://", "postgresql+psycopg://")) as there:
            fill(there, files)
        report = bring(url, artifacts=[files])
        assert report.complete, report
        assert (report.tallies["runs"].verified, report.tallies["points"].verified) == (3, 255)
        again = bring(url, artifacts=[files])
        assert all((one.new, one.changed) == (0, 0) for one in again.tallies.values())


def test_the_source_is_not_written(bring: Bring, rows: Rows, tmp_path: Path) -> None:
    place = tmp_path / "mlflow.db"
    before = (hashlib.sha256(place.read_bytes()).hexdigest(), place.stat().st_mtime_ns, sorted(tmp_path.iterdir()))
    bring(place)
    assert (hashlib.sha256(place.read_bytes()).hexdigest(), place.stat().st_mtime_ns) == before[:2]
    assert [path for path in sorted(tmp_path.iterdir()) if path not in before[2]] == []


def test_only_what_is_new_comes_later(
    bring: Bring, rows: Rows, tmp_path: Path, workspace: Workspace, me: Actor
) -> None:
    place = tmp_path / "mlflow.db"
    bring(place)
    rows.points(CHILD, "accuracy/valid", 2, start=3)
    rows.points(CHILD, "later", 1)
    with rows._engine.begin() as connection:
        connection.execute(update(RUNS).where(RUNS.c.run_uuid == CHILD).values(status="FAILED", end_time=9))
        connection.execute(update(REGISTERED_MODEL_ALIASES).values(version=1))
    report = bring(place)
    assert report.complete
    assert (report.tallies["runs"].changed, report.tallies["runs"].already) == (1, 2)
    assert report.tallies["points"].new == 3
    assert runs_here(workspace, [CHILD])[CHILD].status is RunStatus.FAILED
    assert len(metric_history(workspace, me, MetricHistory(run=CHILD, name="accuracy/valid")).points) == 5
    assert find_model(workspace, "churn-model").aliases == {"champion": 1}


def test_files_elsewhere_are_read_only_where_that_is_allowed(bring: Bring, tmp_path: Path) -> None:
    away = tmp_path / "away"
    with opened(f"sqlite:///{tmp_path}/mlflow.db") as rows:
        fill(rows, away)
    report = bring(tmp_path / "mlflow.db")
    assert not report.complete
    assert {one.what: one.count for one in report.left_out} == {
        "files of runs": 3,
        "files of logged models": 1,
        "files of versions": 2,
    }
    allowed = bring(tmp_path / "mlflow.db", artifacts=[away])
    assert allowed.complete, allowed
    assert allowed.tallies["files"].new == 4
    assert all(
        (one.new, one.changed) == (0, 0) for one in bring(tmp_path / "mlflow.db", artifacts=[away]).tallies.values()
    )


def test_one_workspace_of_mlflow_is_read_at_a_time(
    bring: Bring, rows: Rows, tmp_path: Path, workspace: Workspace, me: Actor
) -> None:
    rows.put(EXPERIMENTS, {"experiment_id": 20, "name": "churn", "artifact_location": "", "workspace": "other"})
    rows.put(RUNS, {"run_uuid": "5" * 32, "experiment_id": 20, "artifact_uri": str(tmp_path / "mlruns" / "x")})
    report = bring(tmp_path / "mlflow.db")
    assert [(one.what, one.examples) for one in report.left_out] == [("experiments", ["other"])]
    other = bring(tmp_path / "mlflow.db", part="other")
    assert (other.tallies["experiments"].found, other.tallies["runs"].new) == (1, 1)


def test_histories_longer_than_a_batch_come_whole(
    bring: Bring, rows: Rows, tmp_path: Path, workspace: Workspace, me: Actor
) -> None:
    rows.points(RUN, "long", 120_000)
    rows.points(RUN, "other", 120_000)
    report = bring(tmp_path / "mlflow.db")
    assert report.complete
    assert (report.tallies["points"].new, report.tallies["points"].verified) == (240_255, 240_255)
    latest = metric_history(workspace, me, MetricHistory(run=RUN, name="long")).points[-1]
    assert (latest.step, math.isclose(latest.value, 1 / 120_000)) == (119_999, True)


def test_a_database_of_something_else_is_refused(bring: Bring, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE metrics (x)")
    connection.close()
    with pytest.raises(Invalid, match="has no table experiments"):
        bring(tmp_path / "other.db")


def test_points_that_were_lost_are_found_missing(
    bring: Bring, rows: Rows, tmp_path: Path, workspace: Workspace
) -> None:
    bring(tmp_path / "mlflow.db")
    with workspace.database.writing() as connection:
        connection.execute(text("DELETE FROM points WHERE step = 17"))
    thorough = bring(tmp_path / "mlflow.db", thorough=True)
    assert thorough.tallies["points"].new == 1
