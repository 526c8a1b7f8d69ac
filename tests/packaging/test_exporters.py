import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from kept.packaging.answers import answering
from kept.packaging.encoding import Column, TableEncoder
from kept.packaging.exporters.registry import Exported, NotExportable, export
from kept.packaging.exporters.trees import float32_splits
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.parity import check_parity
from kept.packaging.probes import matrix_probes
from kept.packaging.signature import Field, Signature

WIDTH = 6


def data(*, missing: bool) -> Any:
    """Columns: three numbers, epoch seconds, categories 0..39, a number on a coarse grid (values on thresholds)."""
    random = np.random.default_rng(1)
    features = random.normal(size=(500, WIDTH))
    features[:, 3] = 1.7e9 + random.integers(0, 10**6, 500)
    features[:, 4] = random.integers(0, 40, 500)
    features[:, 5] = random.integers(0, 5, 500) / 4
    score = features[:, 0] + (features[:, 4] % 3) - features[:, 5] + random.normal(scale=0.3, size=500)
    if missing:
        features[random.random(features.shape) < 0.1] = np.nan
    return features, score


def targets(score: Any, task: Any) -> Any:
    if task == "binary":
        return (score > np.median(score)).astype(int)
    return np.digitize(score, np.quantile(score, [0.3, 0.6])) if task == "multiclass" else score


def check(
    estimator: Any,
    task: Any,
    *,
    missing: bool = True,
    coded: bool = False,
    positive: bool = False,
    separable: bool = False,
) -> Any:
    features, score = data(missing=missing)
    if separable:
        score = np.nan_to_num(features[:, 0])
    target = np.abs(score) + 0.1 if positive else targets(score, task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(features, target)
    columns = [Column(name=f"c{n}", kind="number") for n in range(WIDTH)]
    if coded:
        columns[4] = Column(name="c4", kind="category", categories=tuple(map(str, range(40))))
    encoder = TableEncoder(columns=tuple(columns))
    signature = Signature(
        inputs=tuple(Field(name=c.name, kind=c.kind) for c in columns),
        task=task,
        classes=() if task == "regression" else tuple(np.unique(target).tolist()),
    )
    exported = export(estimator, frozenset(encoder.categorical))
    assert isinstance(exported, Exported), exported
    model = OnnxModel(exported.model, width=WIDTH)
    original = answering(estimator, signature)

    def ask(rows: Any) -> Any:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return original(rows)

    def answer(rows: Any) -> Any:
        ask(rows)  # what the original refuses is refused by the runtime before the model; here by the original itself
        return model.run(np.ascontiguousarray(rows)).reshape(ask(rows).shape)

    groups = matrix_probes(features, encoder, exported)
    report = check_parity(ask, answer, groups)
    assert report.holds, report.reason
    return exported, {group.name: group for group in report.groups}


CATEGORICAL = {"max_iter": 15, "categorical_features": [4]}


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("missing", [True, False])
def test_hist_boosting_classifier_with_categories(task: Any, coded: bool, missing: bool) -> None:
    exported, groups = check(HistGradientBoostingClassifier(**CATEGORICAL), task, coded=coded, missing=missing)
    assert exported.member_columns == {4}
    assert groups["thresholds"].rows > 1000
    assert groups["categories"].rows > 100
    assert max(group.largest_difference for group in groups.values()) < 1e-15


def test_hist_boosting_where_a_class_stops_splitting_early() -> None:
    # Trees of a single leaf, which ONNX Runtime reads wrongly when they are written in the short form.
    model = HistGradientBoostingClassifier(max_iter=40, learning_rate=0.5, categorical_features=[4])
    check(model, "multiclass", separable=True)
    sizes = [len(tree.nodes) for stage in model._predictors for tree in stage]
    assert min(sizes) == 1
    assert max(sizes) > 1


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile", "poisson", "gamma"])
def test_hist_boosting_regressor(loss: Any) -> None:
    extra = {"quantile": 0.3} if loss == "quantile" else {}
    check(
        HistGradientBoostingRegressor(loss=loss, **CATEGORICAL, **extra),
        "regression",
        positive=loss in {"poisson", "gamma"},
    )


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_forest_classifiers(kind: Any, task: Any) -> None:
    _, groups = check(kind(n_estimators=7, max_depth=7, random_state=0), task)
    assert all(group.largest_difference == 0.0 for group in groups.values())


@pytest.mark.parametrize("kind", [RandomForestRegressor, ExtraTreesRegressor])
def test_forest_regressors(kind: Any) -> None:
    check(kind(n_estimators=7, max_depth=7, random_state=0), "regression")


def test_trees() -> None:
    check(DecisionTreeClassifier(max_depth=8), "binary")
    check(DecisionTreeClassifier(max_depth=8), "multiclass")
    check(DecisionTreeRegressor(max_depth=8), "regression")
    check(DecisionTreeClassifier(max_leaf_nodes=2), "binary")


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (GradientBoostingClassifier(n_estimators=9), "binary"),
        (GradientBoostingClassifier(n_estimators=9, loss="exponential"), "binary"),
        (GradientBoostingClassifier(n_estimators=9), "multiclass"),
        (GradientBoostingClassifier(n_estimators=9, init="zero"), "multiclass"),
        (GradientBoostingRegressor(n_estimators=9), "regression"),
        (GradientBoostingRegressor(n_estimators=9, loss="huber"), "regression"),
        (GradientBoostingRegressor(n_estimators=9, loss="quantile", init="zero"), "regression"),
    ],
)
def test_gradient_boosting(model: Any, task: Any) -> None:
    check(model, task, missing=False)


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (LogisticRegression(C=0.1), "binary"),
        (LogisticRegression(C=0.1), "multiclass"),
        (LogisticRegression(fit_intercept=False), "binary"),
        (Ridge(), "regression"),
        (Lasso(alpha=0.01), "regression"),
        (ElasticNet(alpha=0.01), "regression"),
        (LinearRegression(), "regression"),
    ],
)
def test_linear_models_behind_a_scaler(model: Any, task: Any) -> None:
    check(make_pipeline(StandardScaler(), model), task, missing=False)


@pytest.mark.parametrize(
    "steps",
    [
        (SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression()),
        (SimpleImputer(strategy="most_frequent"), MinMaxScaler(clip=True), LogisticRegression()),
        (
            SimpleImputer(strategy="constant", fill_value=-1.0, add_indicator=True),
            "passthrough",
            LogisticRegression(max_iter=5),
        ),
        (StandardScaler(), HistGradientBoostingClassifier(max_iter=10)),
        (StandardScaler(with_mean=False), RandomForestClassifier(n_estimators=5, max_depth=6)),
        (RobustScaler(), SimpleImputer(strategy="median"), GradientBoostingClassifier(n_estimators=5)),
        (MaxAbsScaler(), make_pipeline(MinMaxScaler(feature_range=(-1, 2)), DecisionTreeClassifier(max_depth=6))),
    ],
    ids=lambda steps: "-".join(getattr(step, "strategy", "") + type(step).__name__ for step in steps),
)
def test_pipelines_are_exported_whole(steps: Any) -> None:
    _, groups = check(make_pipeline(*steps), "binary")
    assert groups["missing"].largest_difference is not None


def test_an_imputer_that_drops_an_empty_column() -> None:
    features, score = data(missing=True)
    features[:, 2] = np.nan
    model = make_pipeline(SimpleImputer(), LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(features, targets(score, "binary"))
        expected = model.predict_proba(features)[:, 1]
    exported = export(model)
    assert isinstance(exported, Exported)
    assert np.allclose(OnnxModel(exported.model, width=WIDTH).run(features).ravel(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (DummyClassifier(), "no exact exporter for DummyClassifier"),
        (make_pipeline(SimpleImputer(missing_values=0), LogisticRegression()), "takes 0"),
        (GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()), "starts from another model"),
        (make_pipeline(StandardScaler(), HistGradientBoostingClassifier(**CATEGORICAL)), "not whole numbers"),
    ],
)
def test_what_has_no_exact_exporter_says_why(estimator: Any, reason: str) -> None:
    features, score = data(missing=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(features, targets(score, "binary"))
    result = export(estimator)
    assert isinstance(result, NotExportable)
    assert reason in result.reason


def test_a_subclass_is_not_taken_for_its_parent() -> None:
    class Inverted(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
        def predict_proba(self, X: Any) -> Any:  # noqa: N803 - as scikit-learn calls it
            return super().predict_proba(X)[:, ::-1]

    features, score = data(missing=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Inverted(max_iter=5).fit(features, targets(score, "binary"))
    assert isinstance(export(model), NotExportable)


def test_several_targets_and_unfitted_estimators_are_not_exported() -> None:
    features, score = data(missing=False)
    for kind in (LinearRegression(), RandomForestRegressor(n_estimators=2)):
        assert isinstance(export(kind.fit(features, np.column_stack([score, score]))), NotExportable)
    assert isinstance(export(LinearRegression()), NotExportable)


@given(
    threshold=st.floats(allow_nan=False, allow_infinity=False),
    value=st.floats(allow_nan=False, allow_infinity=False),
    near=st.integers(-3, 3),
)
def test_float32_splits_decide_as_a_comparison_in_float32(threshold: float, value: float, near: int) -> None:
    (split,) = float32_splits(np.array([threshold]))
    candidates = [value, split, threshold]
    with np.errstate(over="ignore"):
        for start in (split, threshold):
            for _ in range(abs(near)):
                start = np.nextafter(start, np.inf if near > 0 else -np.inf)  # noqa: PLW2901 - one step further each time
                candidates.append(start)
    for candidate in candidates:
        with np.errstate(over="ignore"):
            rounded = np.float64(np.float32(candidate))
        if np.isfinite(rounded):
            assert (candidate <= split) == (rounded <= threshold)
