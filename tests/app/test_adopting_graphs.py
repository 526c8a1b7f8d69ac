"""ONNX graphs that somebody hands over: judged by a project's pictures, released, served, logged, watched."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from onnx.reference import ReferenceEvaluator

from graphs import CLASSES, IMAGE, image_model
from kept.app.connection import Embedded
from kept.app.onnx_files import register_checked, register_graph
from kept.app.projects import Projects
from kept.app.running import make_runner
from kept.app.workspace import embedded_actor, open_workspace
from kept.core.errors import CheckFailed, Conflict, Invalid
from kept.deployment.release import ReleaseVersion, release
from kept.governance.actor import automation
from kept.loop.cycle import tick
from kept.monitoring.records import results_of
from kept.packaging.bundle import fetch_bundle
from kept.packaging.runtime import load_runtime
from kept.pipelines.catalog import failure_of
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.registry.adoption import Adopt, adopt
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.markdown import render_markdown
from kept.serving.shipping import ship
from kept.settings.settings import Settings
from kept.tracking.run import Run, RunStatus
from waiting import free_ports, wait_until_ready

HERE = Path(__file__).parent


def answers_of(images: np.ndarray) -> list[np.ndarray]:
    """Logits and embeddings, by ONNX's own reference."""
    return [np.asarray(one) for one in ReferenceEvaluator(image_model()).run(None, {"image": images})]


def pictures(count: int = 300) -> pl.DataFrame:
    """Pictures, and what the model says of them, with some mistakes."""
    random = np.random.default_rng(11)
    images = random.normal(size=(count, *IMAGE)).astype(np.float32)
    logits = answers_of(images)[0]
    said = np.where(random.random(count) < 0.1, random.integers(0, 3, count), logits.argmax(axis=1))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "id": list(range(count)),
            "at": [begin + timedelta(hours=place) for place in range(count)],
            "image": images.tolist(),
            "animal": [CLASSES[place] for place in said],
        },
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )


@pytest.fixture
def here(tmp_path: Path) -> Embedded:
    shutil.copy(HERE / "pictures" / "project.py", tmp_path)
    pictures().write_parquet(tmp_path / "pictures.parquet")
    (tmp_path / "model.onnx").write_bytes(image_model())
    (tmp_path / "other.onnx").write_bytes(image_model(seed=1))
    settings = Settings(workspace=str(tmp_path / "workspace"))
    connection = Embedded(open_workspace(settings), embedded_actor(settings, "python"))
    source = tmp_path / "project.py"
    ensure_registered(connection.workspace, connection.actor, load_project(source), source)
    return connection


def adopted(connection: Embedded, **request: Any) -> tuple[Run, str]:
    with make_runner(connection.workspace, Projects(connection.workspace)) as runner:
        run = connection.call(adopt, Adopt(project="animals", **request))
        runner.submit(run)
        ended = runner.wait(run.id, 100)
    return ended, str(failure_of(connection.workspace, run.id) or ended.error or "")


def test_a_graph_is_judged_and_released(here: Embedded, tmp_path: Path) -> None:
    registered = register_graph(here.workspace, here.actor, "seen", tmp_path / "model.onnx")
    assert not registered.judged
    ended, failure = adopted(here, model="seen", scores="logits", form="logits")
    assert ended.status is RunStatus.FINISHED, failure
    version = here.call(show_version, ShowVersion(model="animals")).judged
    assert version.status == "accepted", version.verdict.reasons
    accuracy = version.card.report.metrics["accuracy"].estimate
    assert accuracy is not None
    assert accuracy > 0.8
    assert version.card.lineage.adopted is not None
    assert version.card.lineage.adopted.flavour == "onnx"
    assert "in the order bird, cat, dog" in render_markdown(version)
    bundle = fetch_bundle(version.bundle, here.workspace.blobs, tmp_path / "fetched")
    runtime = load_runtime(bundle)
    assert runtime.manifest.signature.classes == CLASSES
    status = here.call(release, ReleaseVersion(endpoint="animals", version="latest"))
    assert status.route is not None
    frame = pictures()
    served = ask(tmp_path, frame)
    scores = runtime.predict_columns({"image": frame["image"].to_list()})
    assert [one["prediction"] for one in served] == [CLASSES[place] for place in scores.argmax(axis=1)]
    shipped = ship(here.workspace)
    assert shipped.rows == frame.height
    rows = here.workspace.tables.read("predictions/animals").collect()
    assert rows["scores"].list.len().unique().to_list() == [3]
    tick(here.workspace, automation("loop"))
    with here.workspace.database.reading() as connection:
        watched = {one.slice for one in results_of(connection, "animals", limit=1_000)}
    assert "image__norm" in watched


def ask(folder: Path, frame: pl.DataFrame, endpoint: str = "animals") -> list[dict[str, Any]]:
    """What `kept serve` answers to pictures."""
    with (folder / "serve.log").open("wb") as log:
        command = [sys.executable, "-m", "kept", "serve", "--workspace", "workspace", "--port", str(free_ports(2))]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=os.environ | {"KEPT_TOKEN": ""})
    address = f"http://127.0.0.1:{int(command[-1]) + 1}"
    found: list[dict[str, Any]] = []
    try:
        wait_until_ready(process, f"{address}/v2/health/ready", folder / "serve.log")
        for piece in frame.iter_slices(100):
            rows = {"rows": piece.select("image").to_dicts(), "keys": piece["id"].to_list()}
            moments = [moment.isoformat() for moment in piece["at"]]
            answer = httpx.post(f"{address}/predict/{endpoint}", json=rows | {"event_times": moments})
            assert answer.status_code == 200, answer.text
            found += answer.json()["predictions"]
    finally:
        process.terminate()
        process.wait(60)
    return found


def test_what_a_project_cannot_judge_is_refused(here: Embedded, tmp_path: Path) -> None:
    register_graph(here.workspace, here.actor, "seen", tmp_path / "model.onnx")
    for said, request in (
        ("Name the output that holds the scores", {}),
        ("its scores are no probabilities", {"scores": "logits"}),
        ("expected 3 scores for a row, found 5", {"scores": "embedding", "form": "logits"}),
    ):
        ended, failure = adopted(here, model="seen", **request)
        assert ended.status is RunStatus.FAILED
        assert said in failure


def test_a_graph_that_guesses_is_rejected(here: Embedded, tmp_path: Path) -> None:
    register_graph(here.workspace, here.actor, "other", tmp_path / "other.onnx")
    ended, failure = adopted(here, model="other", scores="logits", form="logits")
    assert ended.status is RunStatus.FINISHED, failure
    version = here.call(show_version, ShowVersion(model="animals")).judged
    assert version.status == "rejected"
    assert any("accuracy" in reason for reason in version.verdict.reasons)


def test_a_graph_without_labels_is_held_to_declared_answers(here: Embedded, tmp_path: Path) -> None:
    images = np.random.default_rng(2).normal(size=(20, *IMAGE)).astype(np.float32)
    embedding = answers_of(images)[1]
    for name, arrays in (("right", {"embedding": embedding}), ("wrong", {"embedding": embedding + 1}), ("silent", {})):
        np.savez(tmp_path / f"{name}.npz", allow_pickle=False, image=images, **arrays)
    file = tmp_path / "model.onnx"
    for name, kind, said in (("wrong", CheckFailed, "declared answers"), ("silent", Invalid, "declares no answers")):
        with pytest.raises(kind, match=said):
            register_checked(here.workspace, here.actor, "vectors", file, tmp_path / f"{name}.npz")
    with pytest.raises(Conflict, match="there is a project of this name"):
        register_checked(here.workspace, here.actor, "animals", file, tmp_path / "right.npz")
    version = register_checked(here.workspace, here.actor, "vectors", file, tmp_path / "right.npz")
    assert version.status == "accepted"
    assert "Its answers to the 20 rows of right.npz are those declared there" in render_markdown(version)
    status = here.call(release, ReleaseVersion(endpoint="vectors", version="1"))
    assert status.route is not None
    served = ask(tmp_path, pictures(5), "vectors")
    wanted = np.array(pictures(5)["image"].to_list(), dtype=np.float32)
    expected = answers_of(wanted)[1]
    np.testing.assert_allclose([one["outputs"]["embedding"] for one in served], expected, rtol=1e-4, atol=1e-5)
    assert ship(here.workspace).rows == 5
    assert here.workspace.tables.read("predictions/vectors").collect()["prediction"].null_count() == 5
    assert tick(here.workspace, automation("loop")) == []
