"""Drift of contributions: what predictions hang on, against what they hung on in training."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from kept.core.errors import Invalid
from kept.governance.workspace import Workspace
from kept.monitoring.attribution import AttributionMonitor, Shown, evidence_of, measured
from kept.monitoring.budget import Budget
from kept.monitoring.drift import DriftWatch
from kept.monitoring.subject import Subject
from kept.monitoring.window import Window
from kept.packaging.build import package
from kept.packaging.bundle import fetch_bundle, store_bundle
from kept.packaging.explaining.attribution import Attributions, attribution_table, attributions
from kept.packaging.explaining.exact import ExactExplainer
from kept.packaging.explaining.explainer import load_explainer
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.plan.objective import at_least
from kept.plan.project import Project

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
WINDOW = Window(start=NOON, end=NOON + timedelta(days=1))
ROWS = 100


def day(random: np.random.Generator, *, wide: float = 1.0, rows: int = ROWS) -> pl.DataFrame:
    """A day of traffic: `b` counts as far as `switch` lets it, `c` for nothing."""
    wander = 0.05 * random.normal()
    switch = random.random(rows) < 0.5
    return pl.DataFrame(
        {
            "a": random.normal(wander, 1, rows),
            "b": random.normal(0, wide, rows),
            "switch": switch,
            "c": random.normal(size=rows),
        }
    )


@pytest.fixture
def watched(workspace: Workspace, tmp_path: Path) -> tuple[Workspace, Subject, Attributions]:
    random = np.random.default_rng(11)
    frame = pl.concat([day(random) for _ in range(30)])
    encoder = fit_encoder(frame)
    target = frame["a"] + frame["b"] * frame["switch"]
    model = HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=8).fit(encode_frame(frame, encoder), target)
    package(model, encoder, signature_of(frame, encoder, task="regression"), frame, tmp_path / "b", latency_runs=1)
    explainer = load_explainer(tmp_path / "b")
    assert isinstance(explainer, ExactExplainer)
    reference = attributions(attribution_table(explainer, frame.to_dicts()), np.arange(frame.height) // ROWS)
    bundle = store_bundle(tmp_path / "b", workspace.blobs)
    champion = Subject(
        version_id="v1", number=1, task="regression", classes=(), reference=None, attribution="sha256:1", bundle=bundle,
        loss=None,
    )  # fmt: skip
    return workspace, champion, reference


def fed(monitor: AttributionMonitor, days: list[pl.DataFrame]) -> tuple[DriftWatch | None, list[Shown]]:
    watch, found = None, []
    for one in days:
        watch, shown = monitor.feed(watch, one, WINDOW, None)
        found += [shown] if shown is not None else []
    return watch, found


def test_unchanged_windows_keep_the_budget(watched: tuple[Workspace, Subject, Attributions]) -> None:
    monitor = AttributionMonitor(*watched, rows=ROWS, windows=90)
    alarms = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        alarms += any(one.finding.alarm for one in fed(monitor, [day(random) for _ in range(20)])[1])
    # 400 windows at one in 90 allow 4.4 on average.
    assert alarms <= 4


def test_a_change_of_what_matters_is_seen_and_told(watched: tuple[Workspace, Subject, Attributions]) -> None:
    random = np.random.default_rng(1)
    monitor = AttributionMonitor(*watched, rows=ROWS, windows=90)
    # No input's mean moves; one no longer varies, so that no answer hangs on it any more.
    watch, found = fed(monitor, [day(random) for _ in range(5)] + [day(random, wide=0.2) for _ in range(4)])
    assert not any(one.finding.alarm for one in found[:5])
    assert found[-1].finding.alarm
    assert watch is not None
    assert watch.alarmed
    assert found[-1].current["b"] < 0.5 * found[-1].usual["b"]
    told = evidence_of(found[-1], Budget(whole=timedelta(days=90), share=0.1), WINDOW)
    assert told["causes"][0].startswith("b: its mean contribution went from 0.")
    assert told["against"] == "rows that the version was trained on"
    assert told["budget"].endswith("; 10% of that is this one's")
    results = {(one.metric, one.slice): one.value for one in measured(found[-1])}
    assert results["attribution", ""] == found[-1].finding.value
    assert results["contribution", "b"] == found[-1].current["b"]


def test_what_counts_for_nothing_may_change_as_it_likes(watched: tuple[Workspace, Subject, Attributions]) -> None:
    random = np.random.default_rng(2)
    monitor = AttributionMonitor(*watched, rows=ROWS, windows=90)
    days = [day(random).with_columns(c=pl.col("c") * 9 + 4) for _ in range(6)]
    # The trees ask little about it: an alarm on inputs would say more than there is.
    assert not any(one.finding.alarm for one in fed(monitor, days)[1])


def test_windows_that_cannot_be_explained_are_left_out(watched: tuple[Workspace, Subject, Attributions]) -> None:
    random = np.random.default_rng(3)
    monitor = AttributionMonitor(*watched, rows=ROWS, windows=90)
    assert monitor.feed(None, day(random, rows=20), WINDOW, None) == (None, None)
    assert monitor.feed(None, day(random).drop("a"), WINDOW, None) == (None, None)
    hidden = AttributionMonitor(*watched, rows=ROWS, windows=90, unseen={"a"})
    assert hidden.feed(None, day(random), WINDOW, None) == (None, None)


def test_a_training_that_acted_starts_the_detector_anew(watched: tuple[Workspace, Subject, Attributions]) -> None:
    random = np.random.default_rng(4)
    monitor = AttributionMonitor(*watched, rows=ROWS, windows=90)
    watch, _ = fed(monitor, [day(random) for _ in range(3)])
    again, _ = monitor.feed(watch, day(random), WINDOW, NOON)
    assert watch is not None
    assert again is not None
    assert (watch.detector.windows, again.detector.windows) == (3, 1)


def test_windows_are_held_against_their_own_season(watched: tuple[Workspace, Subject, Attributions]) -> None:
    workspace, champion, _ = watched
    random = np.random.default_rng(6)
    with TemporaryDirectory() as scratch:
        explainer = load_explainer(fetch_bundle(champion.bundle, workspace.blobs, Path(scratch) / "bundle"))
    assert isinstance(explainer, ExactExplainer)
    # Mondays are wide, Tuesdays are not, and there were no other days.
    days = [day(random, wide=2.0 if number % 2 == 0 else 0.5) for number in range(40)]
    table = attribution_table(explainer, pl.concat(days).to_dicts())
    numbers = np.arange(40).repeat(ROWS)
    reference = attributions(table, numbers, cycle="day of week", seasons=numbers % 2)
    monitor = AttributionMonitor(workspace, champion, reference, rows=ROWS, windows=90)
    monday, tuesday, wednesday = (
        Window(start=NOON + timedelta(days=place), end=NOON + timedelta(days=place + 1)) for place in range(3)
    )
    assert NOON.weekday() == 0
    watch: DriftWatch | None = None
    for _ in range(8):
        watch, _ = monitor.feed(watch, day(random, wide=2.0), monday, None)
        watch, shown = monitor.feed(watch, day(random, wide=0.5), tuesday, None)
    assert shown is not None
    assert not shown.finding.alarm
    assert monitor.feed(watch, day(random), wednesday, None) == (watch, None)
    for _ in range(3):
        watch, shown = monitor.feed(watch, day(random, wide=0.5), monday, None)
    assert shown is not None
    assert shown.finding.alarm


def test_a_project_declares_how_many_rows_are_explained() -> None:
    project = Project("late", question="Late?", owner="ops", objectives=[at_least("r2", 0.1)])
    project.monitor(explained_rows=200)
    assert project.explained_rows == 200
    with pytest.raises(Invalid, match="rows to explain"):
        project.monitor(explained_rows=5)


def test_inputs_that_the_log_holds_as_another_type_hold_nothing_up(
    watched: tuple[Workspace, Subject, Attributions],
) -> None:
    """A column of the log keeps the type of its first version: what a later one was sent may read otherwise."""
    monitor = AttributionMonitor(*watched, rows=ROWS, windows=90)
    other = day(np.random.default_rng(5)).with_columns(pl.col("switch").cast(pl.String))
    assert fed(monitor, [other]) == (None, [])
