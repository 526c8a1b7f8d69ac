"""Estimators made of estimators, further linear models, and transformers that make other columns: exported exactly."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    GammaRegressor,
    HuberRegressor,
    LassoCV,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
    RidgeCV,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier
from test_exporters import check

from kept.packaging.build import package
from kept.packaging.exporters.registry import NotExportable, export
from kept.packaging.frames import infer_signature
from kept.packaging.runtime import load_runtime

TREES = ("trees", RandomForestClassifier(n_estimators=3, max_depth=4, random_state=0))
BOOSTED = ("boosted", HistGradientBoostingClassifier(max_iter=3))
VALUES = [
    ("trees", RandomForestRegressor(n_estimators=3, max_depth=4)),
    ("boosted", HistGradientBoostingRegressor(max_iter=3)),
]


def scaled(*steps: Any) -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), *steps)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    "model",
    [
        VotingClassifier([TREES, BOOSTED], voting="soft"),
        VotingClassifier(
            [TREES, ("line", scaled(LogisticRegression())), BOOSTED], voting="soft", weights=[1, 2.5, 0.3]
        ),
        BaggingClassifier(n_estimators=3, max_features=0.5, random_state=0),
        BaggingClassifier(DecisionTreeClassifier(max_depth=5), n_estimators=3, bootstrap_features=True, random_state=0),
        StackingClassifier([TREES, BOOSTED], cv=2),
        StackingClassifier([TREES, BOOSTED], final_estimator=scaled(LogisticRegression()), passthrough=True, cv=2),
    ],
    ids=["voting", "weighted", "bagging", "columns-twice", "stacking", "passthrough"],
)
def test_classifiers_made_of_others(model: Any, task: Any) -> None:
    exported, groups = check(model, task)
    assert exported.converted == ()
    # Each is made of several: nothing tells exactly what an input added.
    assert exported.inputs == ()
    assert groups["thresholds"].rows > 100


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    "model",
    [
        CalibratedClassifierCV(TREES[1], cv=2),
        CalibratedClassifierCV(TREES[1], method="isotonic", cv=2),
        CalibratedClassifierCV(BOOSTED[1], cv=2),
        CalibratedClassifierCV(BOOSTED[1], method="isotonic", cv=2, ensemble=False),
        CalibratedClassifierCV(scaled(LinearSVC()), cv=2),
        CalibratedClassifierCV(scaled(GradientBoostingClassifier(n_estimators=3)), method="isotonic", cv=2),
    ],
    ids=["trees", "trees-isotonic", "boosted", "boosted-isotonic", "line", "line-isotonic"],
)
def test_calibrated_classifiers(model: Any, task: Any) -> None:
    exported, groups = check(model, task)
    assert (exported.converted, exported.inputs) == ((), ())
    assert groups["training rows"].largest_difference < 1e-12


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_boosted_stumps_and_trees(task: Any) -> None:
    check(AdaBoostClassifier(n_estimators=5, random_state=0), task, missing=False)
    trees = DecisionTreeClassifier(max_depth=4)
    check(make_pipeline(SimpleImputer(), AdaBoostClassifier(trees, n_estimators=4, random_state=0)), task)


@pytest.mark.parametrize(
    "model",
    [
        VotingRegressor(VALUES),
        VotingRegressor(VALUES, weights=[1, 3]),
        BaggingRegressor(n_estimators=3, max_features=0.7, random_state=0),
        StackingRegressor(VALUES, cv=2),
    ],
    ids=["voting", "weighted", "bagging", "stacking"],
)
def test_regressors_made_of_others(model: Any) -> None:
    exported, _ = check(model, "regression")
    assert exported.converted == ()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    "model",
    [LinearDiscriminantAnalysis(), LogisticRegressionCV(Cs=2, cv=2), SGDClassifier(loss="log_loss", random_state=0)],
    ids=lambda one: type(one).__name__,
)
def test_linear_classifiers(model: Any, task: Any) -> None:
    check(scaled(model), task)


@pytest.mark.parametrize(
    "model",
    [RidgeCV(), LassoCV(cv=2), BayesianRidge(), ARDRegression(), HuberRegressor(), LinearSVR()],
    ids=lambda one: type(one).__name__,
)
def test_linear_regressors(model: Any) -> None:
    check(scaled(model), "regression")


@pytest.mark.parametrize(
    "model", [PoissonRegressor(), GammaRegressor(), TweedieRegressor(power=1.5), TweedieRegressor(link="identity")]
)
def test_generalised_linear_models_answer_by_their_link(model: Any) -> None:
    check(scaled(model), "regression", positive=True)


@pytest.mark.parametrize(
    "step",
    [
        SelectKBest(k=3),
        VarianceThreshold(),
        SelectFromModel(DecisionTreeClassifier(max_depth=3)),
        PCA(3),
        PCA(3, whiten=True),
        KBinsDiscretizer(4),
        KBinsDiscretizer(5, encode="onehot-dense", strategy="uniform"),
        KBinsDiscretizer(5, encode="ordinal", strategy="kmeans", random_state=0),
        PolynomialFeatures(),
        PolynomialFeatures(3, include_bias=False, interaction_only=True),
        SplineTransformer(),
        SplineTransformer(7, knots="quantile", degree=2, include_bias=False),
        SplineTransformer(degree=1),
        SplineTransformer(extrapolation="linear"),
        SplineTransformer(extrapolation="linear", degree=2, include_bias=False, sparse_output=True),
        SplineTransformer(extrapolation="periodic"),
        SplineTransformer(extrapolation="continue", degree=1),
        make_union(StandardScaler(), PCA(2), "passthrough"),
        FunctionTransformer(np.abs),
        FunctionTransformer(),
    ],
    ids=str,
)
def test_transformers_before_a_linear_model(step: Any) -> None:
    exported, _ = check(scaled(step, LogisticRegression()), "binary")
    assert exported.converted == ()


@pytest.mark.parametrize("extrapolation", ["constant", "linear", "periodic", "continue"])
def test_splines_of_what_is_missing_are_zeros(extrapolation: Any) -> None:
    splines = SplineTransformer(extrapolation=extrapolation, degree=2, handle_missing="zeros")
    exported, _ = check(make_pipeline(StandardScaler(), splines, LogisticRegression()), "binary")
    assert exported.converted == ()


@pytest.mark.parametrize(
    ("splines", "reason"),
    [
        (SplineTransformer(extrapolation="error"), "refuse values beyond the knots"),
        (SplineTransformer(degree=0), "no continuation"),
        (SplineTransformer(degree=1, extrapolation="linear"), "no continuation"),
        (SplineTransformer(extrapolation="continue", handle_missing="zeros", sparse_output=True), "by the other rows"),
        (SplineTransformer(extrapolation="periodic", handle_missing="zeros", sparse_output=True), "by the other rows"),
    ],
)
def test_splines_that_cannot_be_continued_say_so(splines: Any, reason: str) -> None:
    rows = np.random.default_rng(2).normal(size=(100, 3))
    result = export(make_pipeline(splines, Ridge()).fit(rows, rows[:, 0]))
    assert isinstance(result, NotExportable)
    assert reason in result.reason


@pytest.mark.parametrize("step", [SelectKBest(k=3), KBinsDiscretizer(6, encode="ordinal")], ids=str)
def test_transformers_before_trees(step: Any) -> None:
    check(make_pipeline(SimpleImputer(), step, RandomForestClassifier(n_estimators=3, max_depth=4)), "binary")


@pytest.mark.parametrize("function", [np.log1p, np.sqrt, np.square, np.exp, np.expm1, np.log])
def test_functions_of_numpy(function: Any) -> None:
    model = make_pipeline(SimpleImputer(), FunctionTransformer(np.abs), FunctionTransformer(function), StandardScaler())
    random = np.random.default_rng(0)
    rows = random.normal(size=(100, 2))
    result = export(make_pipeline(model, Ridge()).fit(rows, rows[:, 0]))
    assert not isinstance(result, NotExportable), result


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_categories_as_means_of_the_target(task: Any, tmp_path: Any) -> None:
    random = np.random.default_rng(1)
    table = pl.DataFrame({"word": random.choice([*"abcdef", None], 300), "size": random.normal(size=300)})
    score = table["size"].to_numpy() + (table["word"].fill_null("b") == "b").to_numpy() * 2.0
    target = np.digitize(score, [0.5] if task == "binary" else [0.0, 1.0])
    steps = make_column_transformer((TargetEncoder(), ["word"]), ("passthrough", ["size"]))
    model = make_pipeline(steps, LogisticRegression()).fit(table, target)
    signature = infer_signature(table, table.columns, task=task, classes=tuple(np.unique(target).tolist()))
    manifest = package(model, None, signature, table, tmp_path / "b", latency_runs=20)
    assert (manifest.runtime, manifest.input, manifest.not_exported) == ("onnx", "matrix", "")
    rows = [*table.to_dicts(), {"word": "never seen", "size": 0.1}, {"word": None, "size": -0.1}]
    expected = model.predict_proba(pl.DataFrame(rows, schema=table.schema))
    expected = expected[:, 1] if task == "binary" else expected
    assert np.abs(load_runtime(tmp_path / "b").predict_rows(rows) - expected).max() < 1e-12


def test_texts_are_known_to_each_of_several_models(tmp_path: Any) -> None:
    random = np.random.default_rng(3)
    table = pl.DataFrame({"word": random.choice([*"abcdef"], 200), "size": random.normal(size=200)})
    late = (table["size"].to_numpy() + (table["word"] == "b").to_numpy() > 0.3).astype(int)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = make_column_transformer((encoder, ["word"]), ("passthrough", ["size"]))
    parts = [
        (type(one).__name__, make_pipeline(steps, one))
        for one in (LogisticRegression(), DecisionTreeClassifier(max_depth=3))
    ]
    model = VotingClassifier(parts, voting="soft").fit(table, late)
    signature = infer_signature(table, table.columns, task="binary", classes=(0, 1))
    manifest = package(model, None, signature, table, tmp_path / "b", latency_runs=20)
    assert (manifest.runtime, manifest.input, manifest.converted) == ("onnx", "matrix", ())


def half(values: Any) -> Any:
    return values / 2


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (make_pipeline(FunctionTransformer(half), LogisticRegression()), "no exact exporter for the function 'half'"),
        (SGDClassifier(loss="modified_huber"), "follow from the loss 'modified_huber'"),
        (AdaBoostClassifier(LogisticRegression(), n_estimators=2), "boosts others than trees"),
        (StackingClassifier([TREES], stack_method="predict", cv=2), "asked by predict"),
    ],
)
def test_what_is_combined_otherwise_says_why(model: Any, reason: str) -> None:
    random = np.random.default_rng(2)
    rows = random.normal(size=(100, 3))
    result = export(model.fit(rows, (rows[:, 0] > 0).astype(int)))
    if isinstance(result, NotExportable):
        assert reason in result.reason
    else:
        assert result.converted
