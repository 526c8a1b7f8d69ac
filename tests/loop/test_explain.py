"""Logged predictions, explained from the log."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from world import MakeWorld, World

from kept.app.connection import Embedded
from kept.cli import explain, show
from kept.core.errors import Conflict, Damaged, NotFound
from kept.core.ids import new_id
from kept.governance.workspace import Workspace
from kept.loop.explain import ExplainPrediction, explain_prediction
from kept.packaging.build import package
from kept.packaging.bundle import store_bundle
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.settings.settings import Settings
from kept.web.pages.explaining import chart_of


@pytest.fixture
def world(make_world: MakeWorld, tmp_path: Path) -> World:
    """A world whose second version is a bundle that says what the log says."""
    made = make_world(lambda project: project.monitor(window="1d"))
    made.bundle = packaged(made.workspace, tmp_path / "bundle", exported=True)
    return made


def packaged(workspace: Workspace, to: Path, *, exported: bool) -> str:
    random = np.random.default_rng(3)
    frame = pl.DataFrame({"x": random.normal(size=200), "origin": random.choice(["EWR", "JFK", "LGA"], 200)})
    encoder = fit_encoder(frame)
    model: Any = LogisticRegression() if exported else NearestCentroid()
    model.fit(encode_frame(frame, encoder), frame["x"] > 0)
    if exported:
        model.coef_, model.intercept_ = np.array([[1.2, 0.0]]), np.zeros(1)
    package(
        model, encoder, signature_of(frame, encoder, task="binary", classes=(False, True)), frame, to, latency_runs=1
    )
    return store_bundle(to, workspace.blobs)


def logged(world: World, **changed: Any) -> str:
    """A prediction of the world's newest version."""
    version = world.register()
    row = world.day().row(0, named=True)
    prediction = new_id()
    fields = {"id": prediction, "answer_id": prediction, "version_id": version.id, "version": version.number}
    frame = world.workspace.tables.read("predictions/flights").head(1).collect()
    columns = {**row, **fields, **changed}
    one = pl.DataFrame([[columns[name]] for name in frame.columns], schema=frame.schema)
    world.workspace.tables.append("predictions/flights", one)
    return prediction


def test_a_prediction_is_explained_from_the_log(world: World) -> None:
    prediction = logged(world)
    found = explain_prediction(world.workspace, world.me, ExplainPrediction(prediction=prediction))
    said, (row,) = found.explanation, found.explanation.rows
    assert (found.endpoint, found.number, said.method, said.scale) == ("flights", 2, "linear", "log_odds")
    assert list(found.values) == ["x", "origin"]
    assert said.base[0] + sum(row.contributions[0]) == pytest.approx(1.2 * found.values["x"], abs=1e-9)
    assert row.contributions[0][1] == 0
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
    chart = chart_of(found)
    assert [one.name for one in chart.outputs[0].inputs] == ["x", "origin"]
    assert chart.outputs[0].name == "true"
    with pytest.raises(NotFound):
        explain_prediction(world.workspace, world.me, ExplainPrediction(prediction=prediction, endpoint="other"))


def test_the_command_prints_bars_and_json(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prediction = logged(world)
    monkeypatch.setattr(show, "console", Console(width=100, force_terminal=False, no_color=True))
    monkeypatch.setattr(explain, "connect", lambda _: Embedded(world.workspace, world.me))
    explain.app([prediction], standalone_mode=False)
    said = capsys.readouterr().out
    assert "answered" in said
    assert "█" in said
    assert "log-odds" in said
    explain.app([prediction, "--json"], standalone_mode=False)
    assert msgspec.json.decode(capsys.readouterr().out)["explanation"]["method"] == "linear"


def test_what_was_logged_otherwise_than_it_was_sent_is_not_explained(world: World) -> None:
    prediction = logged(world, score=0.123)
    with pytest.raises(Conflict, match="was answered then"):
        explain_prediction(world.workspace, world.me, ExplainPrediction(prediction=prediction))
    settings = Settings(workspace=str(world.workspace.root), log_hash="origin", log_key="0123456789abcdef")
    hiding = Workspace(**{**vars(world.workspace), "settings": settings})
    with pytest.raises(Conflict, match="'origin' as it was sent"):
        explain_prediction(hiding, world.me, ExplainPrediction(prediction=prediction))


def test_a_version_without_its_bundle_is_told(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.monitor(window="1d"))
    prediction = logged(world)
    with pytest.raises(Damaged):
        explain_prediction(world.workspace, world.me, ExplainPrediction(prediction=prediction))


def test_sampled_contributions_come_with_intervals(world: World, tmp_path: Path) -> None:
    world.bundle = packaged(world.workspace, tmp_path / "other", exported=False)
    prediction = logged(world)
    with pytest.raises(Conflict) as refused:
        explain_prediction(world.workspace, world.me, ExplainPrediction(prediction=prediction))
    # What the model says is what is told, so that the log can be made to agree.
    score = float(str(refused.value).partition("[")[2].partition("]")[0])
    row = world.workspace.tables.read("predictions/flights").filter(pl.col("id") == prediction).collect()
    again = new_id()
    world.workspace.tables.append("predictions/flights", row.with_columns(id=pl.lit(again), score=pl.lit(score)))
    found = explain_prediction(world.workspace, world.me, ExplainPrediction(prediction=again))
    assert found.explanation.orders == 200
    assert chart_of(found).outputs[0].inputs[0].half_width is not None
