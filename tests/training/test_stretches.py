"""How far back to learn from, when the rule has changed on the way."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from kept.core.errors import Invalid
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.packaging.sklearn_model import load_skops
from kept.pipelines.context import StepContext
from kept.plan.objective import at_least
from kept.plan.policy import decay
from kept.plan.project import Project
from kept.training import fitting
from kept.training.averaging import mean_of
from kept.training.facts import Columns
from kept.training.stretches import Tried, newest, sentence, try_stretches, weighted
from kept.training.tuning import Tuned

BEGIN = datetime(2013, 4, 1, tzinfo=UTC)
PROJECT = """
import kept
import polars as pl
from sklearn.linear_model import LogisticRegression

project = kept.Project("changing", question="Which?", owner="o", objectives=[kept.at_least("accuracy", 0.1)])
project.retrain(on=[kept.decay()], stretches=["5d", "20d"])


@project.dataset(label="y", event_time="at")
def rows() -> pl.DataFrame:
    return pl.DataFrame()


@project.model(task="binary")
def line() -> LogisticRegression:
    return LogisticRegression()
"""


def rows(change: int, count: int = 1_000) -> pl.DataFrame:
    """Twenty a day; from the change on the rule is turned round."""
    x = np.random.default_rng(0).normal(size=count)
    at = [BEGIN + timedelta(hours=1.2 * place) for place in range(count)]
    return pl.DataFrame({"at": at, "x": x, "y": (x > 0) ^ (np.arange(count) >= change)})


def context(workspace: Workspace, me: Actor, scratch: Path) -> StepContext:
    return StepContext(
        run_id="r",
        project="changing",
        step="tune",
        attempt=1,
        seed=0,
        workspace=workspace,
        actor=me,
        scratch=scratch,
        report=lambda _: None,
    )


@pytest.mark.parametrize(("change", "stretch"), [(0, None), (700, timedelta(days=5))])
def test_it_learns_from_all_unless_the_rule_has_changed(
    workspace: Workspace, me: Actor, tmp_path: Path, change: int, stretch: timedelta | None
) -> None:
    source = tmp_path / "project.py"
    source.write_text(PROJECT)
    table = rows(change)
    split = pl.DataFrame({"part": ["train"] * 800 + ["validation"] * 100 + ["test"] * 100})
    columns = Columns(features=("x",), categorical=(), label="y", event_time="at", task="binary", classes=(False, True))
    given = context(workspace, me, tmp_path)
    tuned = fitting.tune(given, str(source), table, split, columns)
    assert tuned.tried[0].stretch == stretch
    assert [one.rows for one in sorted(tuned.tried, key=lambda one: one.rows)] == [100, 400, 800]
    line = load_skops(fitting.fit(given, str(source), table, split, columns, tuned))
    assert isinstance(line, LogisticRegression)
    assert line.score(table["x"].to_numpy()[900:, None], table["y"].to_numpy()[900:]) > 0.95


def test_the_mean_is_of_a_model_of_each_stretch_and_leans_to_those_that_do_well(
    workspace: Workspace, me: Actor, tmp_path: Path
) -> None:
    source = tmp_path / "project.py"
    source.write_text(PROJECT.replace('"20d"]', '"20d"], average=True'))
    table = rows(700)
    split = pl.DataFrame({"part": ["train"] * 800 + ["validation"] * 100 + ["test"] * 100})
    columns = Columns(features=("x",), categorical=(), label="y", event_time="at", task="binary", classes=(False, True))
    given = context(workspace, me, tmp_path)
    tuned = fitting.tune(given, str(source), table, split, columns)
    assert sum(one.weight for one in tuned.tried) == pytest.approx(1.0)
    assert tuned.tried[0].stretch == timedelta(days=5)
    assert tuned.tried[0].weight > 0.9
    saved = fitting.fit(given, str(source), table, split, columns, tuned)
    mean = load_skops(saved)
    assert isinstance(mean, VotingClassifier)
    assert len(mean.estimators_) == 3
    newest_rows = table["x"].to_numpy()[900:, None]
    parts = [
        one.weight * model.predict_proba(newest_rows) for one, model in zip(tuned.tried, mean.estimators_, strict=True)
    ]
    assert np.allclose(mean.predict_proba(newest_rows), sum(parts))
    assert mean.score(newest_rows, table["y"].to_numpy()[900:]) > 0.95
    packaged = fitting.package(given, saved, table, split, columns)
    assert packaged.exported


def test_there_is_no_mean_of_boosters(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    source = tmp_path / "project.py"
    text = PROJECT.replace('"20d"]', '"20d"], average=True').replace("LogisticRegression", "LGBMClassifier")
    source.write_text(
        text.replace("sklearn.linear_model", "lightgbm").replace(
            "Classifier()", "Classifier(n_estimators=2, verbose=-1)"
        )
    )
    split = pl.DataFrame({"part": ["train"] * 800 + ["validation"] * 100 + ["test"] * 100})
    columns = Columns(features=("x",), categorical=(), label="y", event_time="at", task="binary", classes=(False, True))
    with pytest.raises(Invalid, match="no mean of LGBMClassifiers"):
        fitting.tune(context(workspace, me, tmp_path), str(source), rows(0), split, columns)


@pytest.mark.parametrize("losses", [(0.5, 0.55, 1.0), (-0.8, -0.79, -0.5), (0.0, 0.1, 0.2)])
def test_weights_fall_with_the_loss_whatever_its_sign(losses: tuple[float, ...]) -> None:
    found = weighted(tuple(Tried(stretch=None, rows=place, loss=loss) for place, loss in enumerate(losses)))
    parts = [one.weight for one in found]
    assert sum(parts) == pytest.approx(1.0)
    assert parts == sorted(parts, reverse=True)
    assert parts[1] / parts[0] == pytest.approx(np.exp(-10 * (losses[1] - losses[0]) / (abs(losses[0]) or 1)))
    assert sentence(found).startswith("answers the mean of models of")


def test_a_mean_needs_stretches() -> None:
    with pytest.raises(Invalid, match="no mean"):
        Project("p", question="q?", owner="o", objectives=[at_least("accuracy", 0.5)]).retrain(
            on=[decay()], average=True
        )


def test_a_mean_of_values() -> None:
    x = np.arange(6.0)[:, None]
    models = [LinearRegression().fit(x, slope * x[:, 0]) for slope in (1.0, 3.0)]
    assert np.allclose(mean_of(models, [0.75, 0.25]).predict(x), 1.5 * x[:, 0])


def test_a_stretch_that_lacks_a_class_by_now_is_not_learnt_from(
    workspace: Workspace, me: Actor, tmp_path: Path
) -> None:
    """It held all classes among the training rows; with the validation rows it is another, and of one class alone."""
    source = tmp_path / "project.py"
    source.write_text(PROJECT)
    table = rows(0).with_columns(y=pl.col("y") | (pl.int_range(pl.len()) >= 800))
    split = pl.DataFrame({"part": ["train"] * 800 + ["validation"] * 100 + ["test"] * 100})
    columns = Columns(features=("x",), categorical=(), label="y", event_time="at", task="binary", classes=(False, True))
    tried = tuple(
        Tried(stretch=length, rows=count, loss=loss)
        for length, count, loss in ((timedelta(days=5), 100, 0.1), (timedelta(days=20), 400, 0.2), (None, 800, 0.3))
    )
    tuned = Tuned(parameters={}, loss=None, trials=(), tried=tried)
    line = load_skops(fitting.fit(context(workspace, me, tmp_path), str(source), table, split, columns, tuned))
    assert list(line.classes_) == [False, True]


def test_stretches_need_a_time(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    source = tmp_path / "project.py"
    source.write_text(PROJECT)
    split = pl.DataFrame({"part": ["train"] * 900 + ["test"] * 100})
    columns = Columns(features=("x",), categorical=(), label="y", event_time="at", task="binary", classes=(False, True))
    with pytest.raises(Invalid, match="cannot be compared"):
        fitting.tune(context(workspace, me, tmp_path), str(source), rows(0), split, columns)


def test_stretches_of_the_same_rows_are_tried_once_and_those_that_cannot_be_learnt_from_are_left_out() -> None:
    table = rows(0, 100)
    days = [timedelta(days=days) for days in (1, 2, 90, 100)]
    assert newest(table, "at", days[0]).height == 20
    tried = try_stretches(days, table, "at", lambda held: 1 / held.height if held.height > 20 else float("nan"))
    assert [one.rows for one in tried] == [100, 40]
    assert sentence(tried) == (
        "learns from all rows; loss on the validation rows: all rows 0.01000, the newest 2d 0.02500"
    )
