"""Each command that takes a version understands every name that a version has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from kept.app.workspace import embedded_actor, open_workspace
from kept.evaluation.gate import judge
from kept.evaluation.report import evaluate
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.packaging.build import package
from kept.packaging.bundle import store_bundle
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.plan.objective import at_most
from kept.registry.card import Lineage, write_card
from kept.registry.catalog import RegisterVersion, SetAlias, register_version, set_alias
from kept.registry.version import ModelVersion
from kept.settings.settings import Settings

Ask = Callable[..., Any]
ROWS = pl.DataFrame({"size": [float(place) for place in range(20)]})


@pytest.fixture
def versions(command: Ask, tmp_path: Path) -> list[ModelVersion]:
    """Two versions of `churn` and one of `fraud`; `churn/1` has the alias `well-known`."""
    del command
    settings = Settings(workspace=str(tmp_path / ".kept"))
    workspace, me = open_workspace(settings), embedded_actor(settings, "python")
    made = [register(workspace, me, model, accepted=model == "churn") for model in ("churn", "churn", "fraud")]
    set_alias(workspace, me, SetAlias(model="churn", alias="well-known", version="1"))
    return made


def register(workspace: Workspace, me: Actor, model: str, *, accepted: bool) -> ModelVersion:
    encoder = fit_encoder(ROWS)
    matrix, late = encode_frame(ROWS, encoder), np.arange(20) % 3 // 2
    estimator = LogisticRegression().fit(matrix, late)
    signature = signature_of(ROWS, encoder, task="binary", classes=(0, 1))
    folder = workspace.root / "bundles" / model / str(len(list(workspace.root.glob("bundles/*/*"))))
    package(estimator, encoder, signature, ROWS, folder, latency_runs=2)
    bundle = store_bundle(folder, workspace.blobs)
    objectives = [at_most("size_mb", 5 if accepted else 0.1)]
    scores = estimator.predict_proba(matrix)[:, 1]
    report = evaluate("binary", (0, 1), scores, late.astype(float), ROWS, objectives, {"size_mb": 1.0}, seed=0)
    lineage = Lineage(
        question="?", owner="ada", estimator="line", data=(), features=("size",), training_rows=20, bundle=bundle
    )
    request = RegisterVersion(
        project=model,
        model=model,
        bundle=bundle,
        verdict=judge(objectives, report, baseline=None),
        card=write_card(lineage, report, baseline=None),
    )
    return register_version(workspace, me, request)


def names_of(version: ModelVersion) -> list[list[str]]:
    whole = f"{version.model}/{version.number}"
    return [[whole], [f"models:/{whole}"], [version.id], [version.model, str(version.number)]]


def test_a_version_is_shown_by_each_of_its_names(command: Ask, versions: list[ModelVersion]) -> None:
    for version in versions:
        for name in names_of(version):
            assert command("models", "show", *name, "--json")["version"]["id"] == version.id
    aliased = (["churn@well-known"], ["models:/churn@well-known"], ["churn", "well-known"], ["churn/well-known"])
    for name in aliased:
        assert command("models", "show", *name, "--json")["version"]["id"] == versions[0].id
    for name in (["churn"], ["churn/latest"], ["churn", "latest"], ["models:/churn"], ["churn", versions[1].id]):
        assert command("models", "show", *name, "--json")["version"]["id"] == versions[1].id
    assert "there is no version '9'" in command("models", "show", "churn/9", code=1)
    assert "there is no model 'chrn'" in command("models", "show", "chrn/1", code=1)
    assert "names no version" in command("models", "show", "churn/", code=1)
    assert "there is no version" in command("models", "show", versions[0].id[:-4] + "0000", code=1)
    assert "names a version of another model" in command("models", "show", "fraud", "churn/1", code=1)


def test_people_say_their_word_by_each_name(command: Ask, versions: list[ModelVersion]) -> None:
    for version in versions:
        *whole, apart = names_of(version)
        told = [*whole, [apart[1], "--model", apart[0]], [*whole[0], "--model", apart[0]]]
        for name in told:
            assert command("approve", *name, "--json")["subject"] == version.id
    refused = versions[2]
    assert command("waive", "fraud/1", "--reason", "it is small enough", "--json")["subject"] == refused.id
    assert "another model than --model" in command("approve", "churn/1", "--model", "fraud", code=1)
    assert "project.py" in command("approve", "1", code=1)


def test_who_named_the_latest_is_told_its_number(command: Ask, versions: list[ModelVersion]) -> None:
    assert f"approves version {versions[1].number} of churn" in command("approve", "--model", "churn")
    assert "kept waive fraud/1 --reason" in command("approve", "--model", "fraud")
    asked = ("waive", "latest", "--model", "fraud", "--reason", "it is small enough")
    assert f"Version {versions[2].number} of fraud may be released" in command(*asked)
    assert "waive" not in command("approve", "--model", "fraud")


def test_a_version_is_released_and_brought_back_by_each_name(command: Ask, versions: list[ModelVersion]) -> None:
    first, second, _ = versions
    assert [arm["version_id"] for arm in command("release", "churn@well-known", "--json")["route"]["arms"]] == [
        first.id
    ]
    command("release", second.id, "--json")
    for _ in range(9):
        if command("rollout", "advance", "churn", "--reason", "seen", "--json")["rollout"]["state"] == "promoted":
            break
    moved = command("rollback", "--to", "models:/churn/1", "--reason", "seen", "--json")
    assert [arm["version_id"] for arm in moved["route"]["arms"]] == [first.id]
    assert "names a version of another model" in command(
        "rollback", "--endpoint", "churn", "--to", "fraud/1", "--reason", "seen", code=1
    )


def record(declaring: Path, source: Path, tmp_path: Path) -> None:
    """Records what one file declares as if another one had."""
    settings = Settings(workspace=str(tmp_path / ".kept"))
    workspace, me = open_workspace(settings), embedded_actor(settings, "python")
    ensure_registered(workspace, me, load_project(declaring), source)


def declared(file: Path, release: str = "") -> Path:
    text = 'kept.Project("churn", question="?", owner="ada", objectives=[kept.at_least("roc_auc", 0.5)])'
    file.write_text(f"import kept\nproject = {text}\nproject.release({release})\n", encoding="utf-8")
    return file


def test_a_release_that_was_declared_and_not_recorded_is_told_of(
    command: Ask, versions: list[ModelVersion], tmp_path: Path
) -> None:
    del versions
    recorded = declared(tmp_path / "recorded.py")
    changed = declared(tmp_path / "changed.py", "canary=[0.1, 1.0]")
    record(recorded, recorded, tmp_path)
    assert "another release" not in command("release", "1", "--project", str(recorded))
    assert "declares another release than is recorded" in command("release", "2", "--project", str(changed))
    # What is no project's is nobody's to tell of.
    assert "another release" not in command("release", "churn/2", "--project", str(tmp_path / "none.py"))


def test_a_version_is_brought_back_though_the_project_cannot_be_loaded(
    command: Ask, versions: list[ModelVersion], tmp_path: Path
) -> None:
    broken = tmp_path / "project.py"
    broken.write_text("1 / 0\n", encoding="utf-8")
    record(declared(tmp_path / "whole.py"), broken, tmp_path)
    for number in "12":
        command("release", f"churn/{number}")
    assert command("rollout", "show", "--json")["endpoint"] == "churn"
    command("rollout", "advance", "--reason", "seen")
    arms = command("rollback", "--reason", "complaints", "--json")["route"]["arms"]
    assert [arm["version_id"] for arm in arms] == [versions[0].id]
    assert "version 1 serves it already" in command("rollback", "--reason", "again", "--to", "1", code=1)


def test_rows_are_scored_and_folders_written_by_each_name(
    command: Ask, versions: list[ModelVersion], tmp_path: Path
) -> None:
    ROWS.write_csv(tmp_path / "rows.csv")
    names = ["churn", "churn/1", "models:/churn/1", "churn@well-known", "churn/latest", versions[0].id]
    for place, name in enumerate(names):
        found = command("score", name, "rows.csv", f"answers{place}.csv", "--json")
        wanted = versions[1] if name in {"churn", "churn/latest"} else versions[0]
        assert (found["rows"], found["bundle"]) == (20, wanted.bundle)
    for place, name in enumerate((versions[0].id, "models:/churn@well-known")):
        assert command("deploy", "export", name, f"image{place}", "--json")["bundle"] == versions[0].bundle
        assert '"--name", "churn"' in (tmp_path / f"image{place}" / "Dockerfile").read_text()
