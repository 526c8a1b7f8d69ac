from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import kept
from kept.core.errors import Invalid
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.measures.metrics import measure
from kept.packaging.frames import fit_encoder
from kept.pipelines.context import StepContext
from kept.plan.specs import ModelSpec, Task
from kept.training import fitting
from kept.training.baselines import baseline_scores
from kept.training.estimators import fit_estimator, make_estimator, predict_scores
from kept.training.facts import Columns
from kept.training.targets import classes_of, encode_labels, learn_from, need_classes, rows_with_all_classes
from kept.training.tuning import Trial, tune

RARE = """
import kept
import polars as pl
from sklearn.linear_model import LogisticRegression

project = kept.Project("rare", question="Which?", owner="o", objectives=[kept.at_least("accuracy", 0.1)])


@project.dataset(label="y")
def rows() -> pl.DataFrame:
    return pl.DataFrame()


@project.model(task="multiclass", search={"C": kept.floats(0.1, 10.0)}, trials=2)
def line(C: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=C)
"""


def table(count: int = 400) -> pl.DataFrame:
    random = np.random.default_rng(0)
    carrier = random.choice(["AA", "B6", "UA"], count)
    hour = random.uniform(0, 24, count)
    late = random.random(count) < 0.1 + 0.5 * (hour > 16) + 0.2 * (carrier == "B6")
    return pl.DataFrame({"carrier": carrier, "hour": hour, "late": late}).with_columns(
        hour=pl.when(pl.col("hour") < 1).then(None).otherwise("hour")
    )


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        ([True, False], "binary", (False, True)),
        ([0.0, 1.0], "binary", (0, 1)),
        (["yes", "no"], "binary", ("no", "yes")),
        ([3, 1, 2], "multiclass", (1, 2, 3)),
        ([0.5, 1.0], "regression", ()),
    ],
)
def test_classes_come_from_the_labels(labels: list[Any], task: Task, classes: tuple[Any, ...]) -> None:
    series = pl.Series("label", labels)
    assert classes_of(series, task) == classes
    encoded = encode_labels(series, classes)
    assert encoded.tolist() == ([classes.index(one) for one in labels] if classes else labels)


@pytest.mark.parametrize(
    ("labels", "task", "says"),
    [
        ([1, 1], "binary", "Give rows of both classes"),
        ([1, 2, 3], "binary", 'Declare task="multiclass"'),
        ([0, 1], "multiclass", 'Declare task="binary"'),
        (["a", "b"], "regression", "not a number"),
    ],
)
def test_labels_that_do_not_fit_the_task_are_refused(labels: list[Any], task: Task, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        classes_of(pl.Series("label", labels), task)


def test_a_label_that_training_did_not_know_is_named() -> None:
    with pytest.raises(Invalid, match="'maybe' is none of the classes"):
        encode_labels(pl.Series("label", ["yes", "maybe"]), ("no", "yes"))


@pytest.mark.parametrize(
    ("labels", "classes", "rows"),
    [
        (["a", "b", "a", "a"], ("a", "b"), 3),
        (["a", "a", "b"], ("a", "b"), 2),
        ([True, False], (False, True), 2),
        ([0.1, 0.2, 0.3], (), 1),
    ],
)
def test_the_last_rows_that_hold_every_class(labels: list[Any], classes: tuple[Any, ...], rows: int) -> None:
    assert rows_with_all_classes(pl.Series("label", labels), classes) == rows


def test_a_class_that_nothing_can_be_learnt_of_is_named() -> None:
    with pytest.raises(Invalid, match="the class 'c' does not occur among the rows to learn from"):
        need_classes(pl.Series("label", ["a", "b"]), ("a", "b", "c"))
    need_classes(pl.Series("label", ["a", "b"]), ("a", "b"))
    need_classes(pl.Series("label", [0.5]), ())


def test_trials_on_few_rows_learn_every_class(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    source = tmp_path / "rare_project.py"
    source.write_text(RARE)
    random = np.random.default_rng(0)
    rows = pl.DataFrame({"x": random.normal(size=200), "y": ["b", "c", "a"] * 20 + ["a", "c"] * 70})
    split = pl.DataFrame({"part": ["train"] * 150 + ["validation"] * 40 + ["test"] * 10})
    columns = Columns(
        features=("x",), categorical=(), label="y", event_time="at", task="multiclass", classes=("a", "b", "c")
    )
    context = StepContext(
        run_id="r",
        project="rare",
        step="tune",
        attempt=1,
        seed=0,
        workspace=workspace,
        actor=me,
        scratch=tmp_path,
        report=lambda _: None,
    )
    found = fitting.tune(context, str(source), rows, split, columns)
    assert all(np.isfinite(trial.losses).all() for trial in found.trials)


def spec(function: Any) -> ModelSpec:
    return ModelSpec(name="model", function=function, task="binary")


def test_an_estimator_gets_its_seed_and_its_categories() -> None:
    encoder = fit_encoder(table(), ["carrier", "hour"])
    made = make_estimator(spec(HistGradientBoostingClassifier), {"max_iter": 5}, encoder, 7)
    assert made.get_params()["random_state"] == 7
    assert made.get_params()["categorical_features"] == [0]
    assert made.get_params()["max_iter"] == 5


def test_what_is_no_estimator_is_refused() -> None:
    encoder = fit_encoder(table(), ["hour"])
    with pytest.raises(Invalid, match="it gives a int, not an estimator"):
        make_estimator(spec(lambda: 7), {}, encoder, 0)
    with pytest.raises(Invalid, match="it raised ZeroDivisionError"):
        make_estimator(spec(lambda: 1 / 0), {}, encoder, 0)


def test_missing_values_that_an_estimator_cannot_take_are_explained() -> None:
    frame = table()
    encoder = fit_encoder(frame, ["hour"])
    with pytest.raises(Invalid, match="SimpleImputer"):
        fit_estimator(LogisticRegression(), frame, frame["late"].to_numpy(), encoder, where="model")


def test_the_baseline_learns_and_the_estimator_beats_a_constant() -> None:
    train, test = table(1000)[:800], table(1000)[800:]
    encoder = fit_encoder(train, ["carrier", "hour"])
    labels, truth = train["late"].cast(pl.Int64).to_numpy(), test["late"].cast(pl.Int64).to_numpy()
    simple = baseline_scores(train, labels, test, encoder, task="binary", seed=0)
    assert measure("roc_auc", truth, simple) > 0.65
    estimator = make_estimator(spec(HistGradientBoostingClassifier), {"max_iter": 20}, encoder, 0)
    fit_estimator(estimator, train, learn_from(train["late"], "binary"), encoder, where="model")
    assert measure("roc_auc", truth, predict_scores(estimator, test, encoder)) > 0.65


def test_a_trial_whose_loss_is_not_defined_is_never_the_best() -> None:
    losses = iter([float("nan"), 0.5, float("nan"), 0.4])

    def loss(parameters: dict[str, Any], share: float) -> float:
        return next(losses) if share == 1.0 else 1.0

    found = tune({"x": kept.floats(0, 1)}, loss, trials=3, seed=1, ended=lambda _: None)
    assert found.loss == 0.5
    with pytest.raises(Invalid, match="more validation rows"):
        tune({"x": kept.floats(0, 1)}, lambda *_, **__: float("nan"), trials=2, seed=1, ended=lambda _: None)


def test_tuning_finds_the_minimum_prunes_the_weak_and_repeats_itself() -> None:
    def loss(parameters: dict[str, Any], share: float) -> float:
        return float((parameters["x"] - 0.3) ** 2 + (1 - share) * 0.01)

    told: list[Trial] = []
    first = tune({"x": kept.floats(0, 1)}, loss, trials=30, seed=1, ended=told.append)
    again = tune({"x": kept.floats(0, 1)}, loss, trials=30, seed=1, ended=lambda _: None)
    assert abs(first.parameters["x"] - 0.3) < 0.05
    assert first == again
    assert list(first.trials) == told
    assert any(trial.pruned for trial in told)
    assert all(len(trial.losses) == 3 for trial in told if not trial.pruned)
