"""`kept score` as OpenLineage tells of it."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from kept.app.workspace import embedded_actor, open_workspace
from kept.cli.main import main
from kept.governance.workspace import Workspace
from kept.packaging.bundle import store_bundle
from kept.registry.lineage_telling import tell_all
from kept.settings.settings import Settings
from openlineage_events import check
from registering import register


@pytest.fixture
def registered(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a registered model, which tells a file of what is done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEPT_LINEAGE_FILE", "lineage.jsonl")
    settings = Settings(workspace=str(tmp_path / ".kept"), lineage_file="lineage.jsonl")
    workspace = open_workspace(settings)
    digest = store_bundle(bundle, workspace.blobs)
    register(workspace, embedded_actor(settings, "python"), "shop", digest, ("no", "yes"))
    return workspace


def score(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["kept", "score", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(str(ended.value.code))


def told(workspace: Workspace) -> list[dict[str, Any]]:
    tell_all(workspace)
    path = workspace.root / "lineage.jsonl"
    found = [msgspec.json.decode(line) for line in path.read_text().splitlines()] if path.exists() else []
    for event in found:
        check(event)
    return found


def test_rows_model_and_scores_are_told_with_their_versions(
    registered: Workspace, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.write_delta(tmp_path / "lake")
    rows.write_delta(tmp_path / "lake", mode="append")
    assert score(monkeypatch, "shop", "lake", "scores") == 0
    began, ended = told(registered)
    assert (began["eventType"], began["outputs"], ended["eventType"]) == ("START", [], "COMPLETE")
    assert ended["job"]["name"] == "shop.scoring"
    lake, model = ended["inputs"]
    assert (lake["namespace"], lake["name"]) == ("file", str(tmp_path / "lake"))
    assert lake["facets"]["version"]["datasetVersion"] == "1"
    assert (model["name"], model["facets"]["version"]["datasetVersion"]) == ("models/shop", "1")
    (scores,) = ended["outputs"]
    assert scores["name"] == str(tmp_path / "scores")
    assert int(scores["facets"]["version"]["datasetVersion"]) >= 0


def test_what_went_wrong_is_told(
    registered: Workspace, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.drop("count").write_parquet(tmp_path / "rows.parquet")
    assert score(monkeypatch, "shop", "rows.parquet", "scores.parquet") == 1
    _, ended = told(registered)
    assert ended["eventType"] == "FAIL"
    assert "there is no column 'count'" in ended["run"]["facets"]["errorMessage"]["message"]


def test_a_bundle_of_no_workspace_is_nobodys_work(
    registered: Workspace, bundle: Path, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.write_parquet(tmp_path / "rows.parquet")
    assert score(monkeypatch, str(bundle), "rows.parquet", "scores.parquet") == 0
    assert told(registered) == []
