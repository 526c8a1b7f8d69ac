"""Contributions, from training's reference through the windows of traffic to an alert."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from world import APRIL, DAY, NAME, World

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.measures.arrays import decode
from kept.monitoring.attribution import MONITOR, TITLE
from kept.monitoring.catalog import ShowMonitors, ShowWindows, show_monitors, show_windows
from kept.packaging.build import package
from kept.packaging.bundle import store_bundle
from kept.packaging.explaining.attribution import Attributions
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.pipelines.context import StepContext
from kept.training.attribution import attribution, some_of_each
from kept.training.facts import Columns, Packaged

PROJECT = """
import kept

project = kept.Project("flights", question="Late?", owner="ops", objectives=[kept.at_least("roc_auc", 0.6)])
project.monitor(window="1d", explained_rows={rows})
"""


def trained(workspace: Workspace, me: Actor, folder: Path, rows: int) -> tuple[str, str | None]:
    """Digests of a bundle, and of what its answers hung on."""
    random = np.random.default_rng(8)
    size = 3000
    frame = pl.DataFrame(
        {
            "x": random.normal(size=size),
            "origin": random.choice(["EWR", "JFK", "LGA"], size),
            "at": [APRIL - DAY * (30 - place // 100) for place in range(size)],
        }
    )
    encoder = fit_encoder(frame, ["x", "origin"])
    model = LogisticRegression().fit(encode_frame(frame, encoder), frame["x"] > 0)
    model.coef_, model.intercept_ = np.array([[1.2, 0.0]]), np.zeros(1)
    signature = signature_of(frame, encoder, task="binary", classes=(False, True))
    package(model, encoder, signature, frame, folder / "bundle", latency_runs=1)
    bundle = store_bundle(folder / "bundle", workspace.blobs)
    source = folder / f"watched_project_{rows}.py"
    source.write_text(PROJECT.format(rows=rows))
    context = StepContext(
        run_id="r", project=NAME, step="attribution", attempt=1, seed=0, workspace=workspace, actor=me,
        scratch=folder / "scratch", report=lambda _: None,
    )  # fmt: skip
    columns = Columns(
        features=("x", "origin"), categorical=("origin",), label="late", event_time="at", task="binary",
        classes=(False, True),
    )  # fmt: skip
    made = Packaged(
        bundle=bundle, runtime="onnx", exported=True, not_exported="", size_mb=0.1, latency_p50_ms=1, latency_p99_ms=1,
        parity={},
    )  # fmt: skip
    return bundle, attribution(context, str(source), frame, columns, made)


@pytest.fixture
def world(workspace: Workspace, me: Actor, tmp_path: Path) -> World:
    made = World(workspace, me, tmp_path, lambda project: project.monitor(window="1d", explained_rows=100))
    made.bundle, made.attribution = trained(workspace, me, tmp_path, rows=100)
    made.release(made.register())
    return made


def test_an_alert_tells_that_answers_hang_on_something_else(world: World) -> None:
    world.days(6)
    assert not [one for one in world.alerts("quality") if one.title == TITLE]
    world.shift = 1.5
    world.days(3)
    (alert,) = [one for one in world.alerts("quality") if one.title == TITLE]
    assert alert.evidence["causes"][0].startswith("x: its mean contribution went from 0.9")
    assert alert.evidence["budget"].startswith("at most one false alarm in 90d by all detectors")
    results = show_windows(
        world.workspace, world.me, ShowWindows(endpoint=NAME, monitor=MONITOR, metric="contribution", slice="origin")
    )
    assert len(results) == 8
    assert all(one.value == 0 for one in results)
    status = show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME))
    assert status.attribution is not None
    assert status.attribution.alarmed


def test_the_reference_is_of_training_rows_by_window(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    _, digest = trained(workspace, me, tmp_path, rows=50)
    assert digest is not None
    made = decode(workspace.blobs.get(digest), Attributions)
    assert (made.reference.windows, made.reference.rows) == (30, 1500)
    assert made.means["x"] == pytest.approx(1.2 * np.sqrt(2 / np.pi), rel=0.1)
    assert made.means["origin"] == 0


def test_nothing_is_kept_where_nothing_is_declared(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    assert trained(workspace, me, tmp_path, rows=0)[1] is None


def test_many_windows_are_drawn_and_rows_of_each_are_evenly_spaced() -> None:
    numbers = np.repeat(np.arange(200), 50)
    chosen = some_of_each(numbers, 10, windows=60, most=10_000, seed=0)
    windows, counts = np.unique(numbers[chosen], return_counts=True)
    assert len(windows) == 60
    assert set(counts) == {10}
    assert len(set(windows % 24)) > 12
    assert set(np.diff(chosen[:10])) == {5}
    assert len(some_of_each(numbers, 10, windows=60, most=120, seed=0)) == 120
    assert len(some_of_each(numbers, 100, windows=300, most=10**6, seed=0)) == numbers.size
