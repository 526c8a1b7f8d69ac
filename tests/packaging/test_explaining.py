"""Explanations of packaged models: additive, equal to the definition and to the boosters' own, in the terms of the inputs."""

from collections.abc import Callable
from itertools import combinations
from math import factorial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from kept.core.errors import Damaged, Invalid
from kept.packaging.build import package
from kept.packaging.bundle import describe_files
from kept.packaging.explaining.exact import ExactExplainer
from kept.packaging.explaining.explainer import Explainer, load_explainer
from kept.packaging.explaining.explanation import Explanation
from kept.packaging.explaining.making import background_rows
from kept.packaging.explaining.recipe import COVERS, RECIPE
from kept.packaging.explaining.sampling import SamplingExplainer
from kept.packaging.exporters.lightgbm_booster import LightGbmModel
from kept.packaging.exporters.xgboost_booster import XgBoostModel
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.packaging.manifest import MANIFEST, decode_manifest, encode_manifest
from kept.packaging.runtime import load_runtime
from kept.packaging.signature import Task

NAMES = ("a", "b", "c", "kind")
Answers = NDArray[np.float64]


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    random = np.random.default_rng(4)
    frame = pl.DataFrame(
        {
            "a": random.normal(size=400),
            "b": random.normal(size=400),
            "c": random.integers(0, 6, 400) / 2,
            "kind": random.choice(["x", "y", "z"], 400),
        }
    )
    gaps = random.random(400) < 0.15
    return frame.with_columns(a=pl.when(pl.Series(gaps)).then(None).otherwise("a"))


def labels(rows: pl.DataFrame, task: Task) -> Any:
    known = rows["a"].fill_null(0) * 2 + rows["b"] * rows["c"] + (rows["kind"] == "x")
    score = known.to_numpy() + np.random.default_rng(0).normal(scale=0.3, size=rows.height)
    if task == "binary":
        return score > 0
    return np.digitize(score, np.quantile(score, [0.3, 0.6])) if task == "multiclass" else score


@pytest.fixture
def explaining(rows: pl.DataFrame, tmp_path: Path) -> Callable[..., tuple[Explainer, Path]]:
    def make(estimator: Any, task: Task, frame: pl.DataFrame = rows, **more: Any) -> tuple[Explainer, Path]:
        encoder = fit_encoder(frame)
        classes = getattr(estimator, "classes_", np.zeros(0)).tolist()
        signature = signature_of(frame, encoder, task=task, classes=tuple(classes))
        takes_table = hasattr(estimator, "feature_names_in_") and not isinstance(
            estimator, LightGbmModel | XgBoostModel
        )
        package(estimator, None if takes_table else encoder, signature, frame, tmp_path / "b", latency_runs=1, **more)
        return load_explainer(tmp_path / "b"), tmp_path / "b"

    return make


def asked(rows: pl.DataFrame) -> list[dict[str, Any]]:
    return rows.head(20).to_dicts()


def arrays(found: Explanation) -> tuple[Answers, Answers, Answers]:
    base = np.array(found.base)
    return base, np.array([one.sums for one in found.rows]), np.array([one.contributions for one in found.rows])


def answered(folder: Path, rows: pl.DataFrame) -> Answers:
    return load_runtime(folder).predict_rows(asked(rows)).reshape(len(asked(rows)), -1)


LINKS: dict[str, Callable[[Answers], Answers]] = {
    "value": lambda sums: sums,
    "probability": lambda sums: sums,
    "log_odds": lambda sums: 1 / (1 + np.exp(-sums)),
    "log_value": np.exp,
    "logits": lambda sums: np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True),
}


@pytest.mark.parametrize(
    ("estimator", "task", "scale"),
    [
        (HistGradientBoostingClassifier(max_iter=8, categorical_features=[3]), "binary", "log_odds"),
        (HistGradientBoostingClassifier(max_iter=4, categorical_features=[3]), "multiclass", "logits"),
        (HistGradientBoostingRegressor(max_iter=8), "regression", "value"),
        (RandomForestClassifier(10, random_state=0), "binary", "probability"),
        (RandomForestClassifier(6, random_state=0, max_depth=5), "multiclass", "probability"),
        (RandomForestRegressor(6, random_state=0), "regression", "value"),
        (ExtraTreesClassifier(6, random_state=0), "binary", "probability"),
        (DecisionTreeClassifier(max_depth=4), "binary", "probability"),
        (make_pipeline(SimpleImputer(), GradientBoostingClassifier(n_estimators=8)), "binary", "log_odds"),
        (
            make_pipeline(SimpleImputer(), GradientBoostingClassifier(n_estimators=5, loss="exponential")),
            "binary",
            "log_odds",
        ),
        (make_pipeline(SimpleImputer(), GradientBoostingRegressor(n_estimators=8)), "regression", "value"),
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LinearRegression()), "regression", "value"),
        (make_pipeline(SimpleImputer(), LogisticRegression()), "binary", "log_odds"),
        (make_pipeline(SimpleImputer(), LogisticRegression()), "multiclass", "logits"),
    ],
)
def test_base_and_contributions_add_up_to_the_answer(
    estimator: Any, task: Task, scale: str, rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    estimator.fit(encode_frame(rows, fit_encoder(rows)), labels(rows, task))
    explainer, folder = explaining(estimator, task)
    found = explainer.explain(asked(rows))
    base, sums, contributions = arrays(found)
    assert explainer.exact
    assert (found.scale, found.features) == (scale, NAMES)
    np.testing.assert_allclose(base + contributions.sum(axis=2), sums, atol=1e-9)
    np.testing.assert_allclose(LINKS[scale](sums), answered(folder, rows), atol=1e-9)


def test_a_poisson_model_is_explained_on_the_scale_of_the_logarithm(
    rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=8)
    model.fit(encode_frame(rows, fit_encoder(rows)), np.abs(labels(rows, "regression")))
    explainer, folder = explaining(model, "regression")
    found = explainer.explain(asked(rows))
    assert found.scale == "log_value"
    np.testing.assert_allclose(np.exp(arrays(found)[1]), answered(folder, rows), atol=1e-9)


def walked(tree: Any, row: Answers, known: frozenset[int], node: int = 0) -> Answers:
    """Algorithm 1 of Lundberg et al. (2018), on scikit-learn's own tree."""
    if tree.children_left[node] < 0:
        return np.asarray(tree.value[node, 0])
    left, right, column = tree.children_left[node], tree.children_right[node], tree.feature[node]
    if column in known:
        value = np.float32(row[column])
        goes_left = bool(tree.missing_go_to_left[node]) if np.isnan(value) else value <= tree.threshold[node]
        return walked(tree, row, known, left if goes_left else right)
    share = tree.weighted_n_node_samples[left] / tree.weighted_n_node_samples[node]
    return np.asarray(share * walked(tree, row, known, left) + (1 - share) * walked(tree, row, known, right))


def by_definition(worth: Callable[[frozenset[int]], Answers], columns: int) -> list[Answers]:
    """Of each column, over all subsets of the others."""
    known = {
        frozenset(some): worth(frozenset(some)) for n in range(columns + 1) for some in combinations(range(columns), n)
    }
    found = []
    for column in range(columns):
        parts = [
            factorial(len(some)) * factorial(columns - len(some) - 1) / factorial(columns)
            * (known[some | {column}] - value)
            for some, value in known.items()
            if column not in some
        ]  # fmt: skip
        found.append(np.sum(parts, axis=0))
    return found


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_forest_is_explained_as_the_definition_says(
    task: Task, rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    matrix = encode_frame(rows, fit_encoder(rows))
    model = (RandomForestRegressor if task == "regression" else RandomForestClassifier)(4, random_state=1)
    model.fit(matrix, labels(rows, task))
    _, _, contributions = arrays(explaining(model, task)[0].explain(asked(rows)))
    for number in range(3):

        def worth(known: frozenset[int], row: Answers = matrix[number]) -> Answers:
            return np.asarray(np.mean([walked(one.tree_, row, known) for one in model], axis=0))

        expected = np.array(by_definition(worth, 4)).T
        wanted = expected[1:] if task == "binary" else expected
        np.testing.assert_allclose(contributions[number], wanted, atol=1e-9)


def passed(predictor: Any, row: Answers, known: frozenset[int], order: Any, node: int = 0) -> float:
    """The same on a tree of histogram boosting, with its sets of categories."""
    one = predictor.nodes[node]
    if one["is_leaf"]:
        return float(one["value"])
    column = int(order[one["feature_idx"]])
    if column in known:
        value = row[column]
        if np.isnan(value):
            left = bool(one["missing_go_to_left"])
        elif one["is_categorical"]:
            bits = predictor.raw_left_cat_bitsets[one["bitset_idx"]]
            left = bool(int(bits[int(value) // 32]) >> (int(value) % 32) & 1)
        else:
            left = bool(value <= one["num_threshold"])
        return passed(predictor, row, known, order, one["left"] if left else one["right"])
    share = predictor.nodes[one["left"]]["count"] / one["count"]
    return float(
        share * passed(predictor, row, known, order, one["left"])
        + (1 - share) * passed(predictor, row, known, order, one["right"])
    )


def test_histogram_boosting_is_explained_as_the_definition_says(
    rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    matrix = encode_frame(rows, fit_encoder(rows))
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features=[3]).fit(matrix, labels(rows, "binary"))
    base, _, contributions = arrays(explaining(model, "binary")[0].explain(asked(rows)))
    start = float(np.ravel(model._baseline_prediction)[0])

    for number in range(4):

        def worth(known: frozenset[int], row: Answers = matrix[number]) -> Answers:
            return np.array([start + sum(passed(one[0], row, known, [3, 0, 1, 2]) for one in model._predictors)])

        np.testing.assert_allclose(contributions[number], np.array(by_definition(worth, 4)).T, atol=1e-9)
        np.testing.assert_allclose(base, worth(frozenset()), atol=1e-9)


def test_lightgbm_is_explained_as_it_explains_itself(
    rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    frame = rows.select("a", "b", "c")
    matrix = encode_frame(frame, fit_encoder(frame))
    data = lightgbm.Dataset(matrix, labels(rows, "multiclass"), feature_name=list(frame.columns))
    settings = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(settings, data, 6)
    model = LightGbmModel(booster.model_to_string(), names=tuple(frame.columns), classes=(0, 1, 2))
    base, _, contributions = arrays(explaining(model, "multiclass", frame)[0].explain(asked(frame)))
    own = booster.predict(matrix[:20], pred_contrib=True).reshape(20, 3, 4)
    np.testing.assert_allclose(contributions, own[:, :, :3], atol=1e-9)
    np.testing.assert_allclose(base, own[0, :, 3], atol=1e-9)


def test_xgboost_is_explained_as_it_explains_itself(
    rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    xgboost = pytest.importorskip("xgboost")
    frame = rows.select("a", "b", "c")
    matrix = encode_frame(frame, fit_encoder(frame))
    data = xgboost.DMatrix(matrix, labels(rows, "binary"), feature_names=list(frame.columns))
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 6)
    model = XgBoostModel(bytes(booster.save_raw("json")), names=tuple(frame.columns), classes=(False, True))
    base, _, contributions = arrays(explaining(model, "binary", frame)[0].explain(asked(frame)))
    own = booster.predict(data, pred_contribs=True)[:20]
    # It adds up in float32.
    np.testing.assert_allclose(contributions[:, 0], own[:, :3], atol=1e-5)
    np.testing.assert_allclose(base, own[:1, 3], atol=1e-5)


@pytest.mark.parametrize("last", [LogisticRegression(), GradientBoostingClassifier(n_estimators=5)])
def test_a_pipeline_with_texts_is_explained_by_its_own_inputs(
    last: Any, rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    steps = ColumnTransformer(
        [("text", OneHotEncoder(handle_unknown="ignore"), ["kind"]), ("numbers", SimpleImputer(), ["a", "b", "c"])]
    )
    model = make_pipeline(steps, last).fit(rows, labels(rows, "binary"))
    explainer, folder = explaining(model, "binary")
    found = explainer.explain(asked(rows))
    base, sums, contributions = arrays(found)
    assert found.features == NAMES
    assert contributions.shape == (20, 1, 4)
    np.testing.assert_allclose(base + contributions.sum(axis=2), sums, atol=1e-9)
    np.testing.assert_allclose(LINKS["log_odds"](sums), answered(folder, rows), atol=1e-9)
    if isinstance(last, LogisticRegression):
        flags = np.column_stack([rows["kind"] == name for name in "xyz"]).astype(float)
        text = (flags - flags.mean(axis=0)) @ last.coef_[0, :3]
        np.testing.assert_allclose(contributions[:, 0, 3], text[:20], atol=1e-9)
    unknown = explainer.explain([{"a": 0.1, "b": 1.0, "c": 2.0, "kind": "never seen"}])
    assert np.isfinite(unknown.rows[0].sums).all()


@pytest.mark.parametrize(
    ("estimator", "task"),
    [
        (NearestCentroid(), "binary"),
        (NearestCentroid(), "multiclass"),
        (TransformedTargetRegressor(transformer=StandardScaler()), "regression"),
    ],
)
def test_any_other_model_is_explained_by_sampling(
    estimator: Any, task: Task, rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    frame = rows.select("b", "c")
    estimator.fit(frame.to_numpy(), labels(rows, task))
    explainer, folder = explaining(estimator, task, frame)
    found = explainer.explain(asked(frame)[:3])
    base, sums, contributions = arrays(found)
    assert not explainer.exact
    assert found.orders == 200
    np.testing.assert_allclose(base + contributions.sum(axis=2), sums, atol=1e-9)
    np.testing.assert_allclose(sums, answered(folder, frame)[:3], atol=1e-9)
    assert found.rows[0].half_widths is not None
    assert np.isfinite(found.rows[0].half_widths).all()
    assert explainer.explain(asked(frame)[:1]).rows[0] == found.rows[0]


def test_a_table_is_explained_by_sampling(
    rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    steps = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"]),
            ("numbers", SimpleImputer(), ["a", "b"]),
        ]
    )
    model = make_pipeline(steps, NearestCentroid()).fit(rows, labels(rows, "binary"))
    explainer, folder = explaining(model, "binary")
    assert isinstance(explainer, SamplingExplainer)
    _, sums, contributions = arrays(explainer.explain(asked(rows)[:2]))
    np.testing.assert_allclose(sums, answered(folder, rows)[:2], atol=1e-9)
    # The model does not read it.
    assert not contributions[:, :, 2].any()


def test_what_is_one_persons_own_is_in_no_background_row() -> None:
    people = pl.DataFrame(
        {"mail": [f"ann{n}@example.org" for n in range(40)], "member": range(1000, 1040), "x": [1.0] * 40}
    )
    found = background_rows(people, frozenset({"mail", "member"}))
    assert {(one["mail"], one["member"]) for one in found} == {(None, 1020)}


def test_background_rows_are_few_and_hold_nothing_of_what_is_redacted(rows: pl.DataFrame) -> None:
    found = background_rows(rows, frozenset({"a", "kind"}))
    assert 50 < len(found) <= 100
    (number,) = {one["a"] for one in found}
    assert number == pytest.approx(rows["a"].mean(), abs=1e-12)
    assert number not in rows["a"]
    assert len({one["kind"] for one in found}) == 1
    assert len({one["b"] for one in found}) > 50


def test_a_row_that_the_model_refuses_is_not_explained(
    rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    frame = rows.select("b", "c")
    explainer, _ = explaining(LinearRegression().fit(frame.to_numpy(), labels(rows, "regression")), "regression", frame)
    with pytest.raises(Invalid, match="missing"):
        explainer.explain([{"b": None, "c": 1.0}])


def changed(folder: Path, **files: bytes | None) -> Path:
    """The bundle with other files."""
    manifest = decode_manifest((folder / MANIFEST).read_bytes(), where="test")
    contents = {one.name: (folder / one.name).read_bytes() for one in manifest.files}
    for kind, data in files.items():
        name = {"recipe": RECIPE, "covers": COVERS}[kind]
        del contents[name]
        (folder / name).unlink()
        if data is not None:
            contents[name] = data
            (folder / name).write_bytes(data)
    (folder / MANIFEST).write_bytes(encode_manifest(msgspec.structs.replace(manifest, files=describe_files(contents))))
    return folder


def test_older_bundles_are_refused_and_still_answer(
    rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    model = DecisionTreeClassifier(max_depth=3).fit(encode_frame(rows, fit_encoder(rows)), labels(rows, "binary"))
    older = changed(explaining(model, "binary")[1], recipe=None, covers=None)
    assert len(answered(older, rows)) == 20
    with pytest.raises(Invalid, match="before answers were explained"):
        load_explainer(older)


@pytest.mark.parametrize(
    "files",
    [
        {"covers": b"no array"},
        {"covers": None},
        {"recipe": b"{}"},
        {"recipe": b'{"method":"tree_shap","inputs":[0,1,2,9]}'},
        {"recipe": b'{"method":"tree_shap","inputs":[0,1]}'},
        {"recipe": b'{"method":"linear","inputs":[0,1,2,3],"means":[0,0,0,0]}'},
        {"recipe": b'{"method":"sampling"}'},
    ],
)
def test_files_that_do_not_fit_are_damage(
    files: dict[str, bytes | None], rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    model = DecisionTreeClassifier(max_depth=3).fit(encode_frame(rows, fit_encoder(rows)), labels(rows, "binary"))
    broken = changed(explaining(model, "binary")[1], **files)
    with pytest.raises(Damaged):
        load_explainer(broken).explain(asked(rows))


def test_exact_explanations_take_many_rows(
    rows: pl.DataFrame, explaining: Callable[..., tuple[Explainer, Path]]
) -> None:
    model = HistGradientBoostingClassifier(max_iter=5).fit(
        encode_frame(rows, fit_encoder(rows)), labels(rows, "binary")
    )
    explainer, _ = explaining(model, "binary")
    assert isinstance(explainer, ExactExplainer)
    assert explainer.most_rows == 1_000
    assert explainer.contributions(rows.to_dicts()).shape == (400, 1, 4)
