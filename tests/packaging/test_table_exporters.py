"""Pipelines that choose columns of a table by name: exported exactly, or kept as they are, with the reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from kept.core.errors import Invalid
from kept.packaging.build import package
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.packaging.manifest import Manifest
from kept.packaging.runtime import load_runtime
from kept.packaging.signature import Task

# scikit-learn tells of each unknown category; here they are what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:Found unknown categories")

NUMBERS, TEXTS = ["age", "income", "visits"], ["city", "plan"]
ROWS = 400
Packed = Callable[..., tuple[Path, Manifest]]


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    random = np.random.default_rng(11)
    frame = pl.DataFrame(
        {
            "age": random.normal(40, 12, ROWS),
            "city": random.choice(["Rom", "Wien", "Bern", "Oslo", ""], ROWS, p=[0.4, 0.3, 0.2, 0.08, 0.02]),
            "income": random.lognormal(8, 1, ROWS),
            "plan": random.choice(["a", "b"], ROWS),
            "visits": random.integers(0, 9, ROWS),
            "member": random.random(ROWS) > 0.5,
        }
    )
    gap = pl.Series(random.random(ROWS) < 0.1)
    return frame.with_columns(pl.when(~gap).then(pl.col(name)).alias(name) for name in ("age", "city", "plan"))


@pytest.fixture
def packed(rows: pl.DataFrame, tmp_path: Path) -> Packed:
    """Fits an estimator on the table and packages it."""

    def make(estimator: Any, frame: pl.DataFrame = rows, *, task: Task = "binary") -> tuple[Path, Manifest]:
        score = frame["income"].log() + frame["city"].is_in(["Rom", "Oslo"]).fill_null(value=False).cast(pl.Float64)
        label = (score > 8.5).cast(pl.Int64).to_numpy().copy()
        if task == "multiclass":
            label += (frame["visits"] > 6).cast(pl.Int64).to_numpy()
        estimator.fit(frame, score.to_numpy() if task == "regression" else label)
        classes = () if task == "regression" else tuple(range(int(label.max()) + 1))
        signature = signature_of(frame, fit_encoder(frame), task=task, classes=classes)
        folder = tmp_path / "bundle"
        return folder, package(estimator, None, signature, frame, folder, latency_runs=5)

    return make


def usual(last: Any, **encoder: Any) -> Pipeline:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encoder = {"handle_unknown": "ignore", **encoder}
    return make_pipeline(
        ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", OneHotEncoder(**encoder), TEXTS)]), last
    )


def holds(estimator: Any, folder: Path, frame: pl.DataFrame) -> None:
    """The bundle answers like the estimator."""
    found = load_runtime(folder).predict_rows(frame.to_dicts())
    if hasattr(estimator, "predict_proba"):
        expected = estimator.predict_proba(frame)
        expected = expected[:, 1] if expected.shape[1] == 2 else expected
    else:
        expected = estimator.predict(frame)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


EXPORTED: dict[str, tuple[Callable[[], Any], Task]] = {
    "one-hot and scaler before logistic regression": (lambda: usual(LogisticRegression(max_iter=500)), "binary"),
    "three classes": (lambda: usual(LogisticRegression(max_iter=500)), "multiclass"),
    "a forest": (lambda: usual(RandomForestClassifier(5, random_state=1)), "binary"),
    "boosting on a dense table": (
        lambda: usual(HistGradientBoostingClassifier(max_iter=5), sparse_output=False),
        "binary",
    ),
    "a regression": (lambda: usual(LinearRegression()), "regression"),
    "the first category dropped": (lambda: usual(LogisticRegression(), drop="first"), "binary"),
    "dropped where there are two": (lambda: usual(LogisticRegression(), drop="if_binary"), "binary"),
    "infrequent categories together": (lambda: usual(LogisticRegression(max_iter=500), min_frequency=60), "binary"),
    "infrequent and unknown categories together": (
        lambda: usual(LogisticRegression(max_iter=500), max_categories=3, handle_unknown="infrequent_if_exist"),
        "binary",
    ),
    "unknown categories refused": (lambda: usual(LogisticRegression(), handle_unknown="error"), "binary"),
    "the most frequent text where it is missing": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    (
                        "texts",
                        make_pipeline(
                            SimpleImputer(missing_values=None, strategy="most_frequent"),
                            OneHotEncoder(handle_unknown="ignore"),
                        ),
                        TEXTS,
                    ),
                    ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["age", "income"]),
                ]
            ),
            LogisticRegression(),
        ),
        "binary",
    ),
    "a word of its own where it is missing": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    (
                        "texts",
                        make_pipeline(
                            SimpleImputer(missing_values=None, strategy="constant", fill_value="none"), OneHotEncoder()
                        ),
                        TEXTS,
                    )
                ]
            ),
            LogisticRegression(),
        ),
        "binary",
    ),
    "places of categories, with numbers for the unknown and the missing": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    (
                        "texts",
                        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
                        TEXTS,
                    )
                ],
                remainder="passthrough",
            ),
            HistGradientBoostingClassifier(max_iter=5, categorical_features=None),
        ),
        "binary",
    ),
    "whole numbers as categories, the rest dropped": (
        lambda: make_pipeline(
            ColumnTransformer([("visits", OneHotEncoder(handle_unknown="ignore"), ["visits", "member"])]),
            LogisticRegression(),
        ),
        "binary",
    ),
    "columns chosen by their type": (
        lambda: make_pipeline(
            ColumnTransformer(
                [("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS)],
                remainder=make_pipeline(SimpleImputer(), StandardScaler()),
            ),
            LogisticRegression(),
        ),
        "binary",
    ),
    "a transformer in a transformer's pipeline": (
        lambda: make_pipeline(usual("passthrough"), LogisticRegression()),
        "binary",
    ),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_it_becomes_onnx_and_answers_the_same(packed: Packed, rows: pl.DataFrame, name: str) -> None:
    make, task = EXPORTED[name]
    estimator = make()
    folder, manifest = packed(estimator, task=task)
    assert (manifest.runtime, manifest.not_exported, manifest.input) == ("onnx", "", "matrix")
    assert manifest.parity.holds
    holds(estimator, folder, rows)


def test_what_is_unknown_is_not_what_is_missing(packed: Packed, rows: pl.DataFrame) -> None:
    estimator = usual(LogisticRegression(max_iter=500))
    folder, _ = packed(estimator)
    base = rows.filter(pl.col("city") == "Rom").head(1)
    asked = pl.concat(
        [base.with_columns(city=pl.lit(value)) for value in ("Rom", None, "Atlantis", "")], how="diagonal"
    )
    holds(estimator, folder, asked)
    assert len(set(load_runtime(folder).predict_rows(asked.to_dicts()))) == 4


def test_what_the_encoder_refuses_is_refused_with_the_field(packed: Packed, rows: pl.DataFrame) -> None:
    folder, manifest = packed(usual(LogisticRegression(), handle_unknown="error"))
    assert manifest.runtime == "onnx"
    runtime, row = load_runtime(folder), rows.drop_nulls().to_dicts()[0]
    runtime.predict_rows([row])
    with pytest.raises(Invalid, match="'city' has a value that was not there in training"):
        runtime.predict_rows([row | {"city": "Atlantis"}])


def test_a_category_that_the_sample_lacks_is_answered(packed: Packed, rows: pl.DataFrame, tmp_path: Path) -> None:
    estimator = usual(LogisticRegression(max_iter=500), handle_unknown="error")
    label = (rows["income"] > rows["income"].median()).cast(pl.Int64).to_numpy()
    estimator.fit(rows, label)
    sample = rows.filter(pl.col("city") != "Wien")
    signature = signature_of(sample, fit_encoder(sample), task="binary", classes=(0, 1))
    manifest = package(estimator, None, signature, sample, tmp_path / "lacking", latency_runs=5)
    assert manifest.runtime == "onnx"
    holds(estimator, tmp_path / "lacking", rows.filter(pl.col("city") == "Wien"))


def test_an_enum_that_does_not_list_a_text_takes_it_for_missing(packed: Packed, rows: pl.DataFrame) -> None:
    cities = pl.Enum(["Rom", "Wien", "Bern", "Oslo", ""])
    frame = rows.with_columns(pl.col("city").cast(cities))
    estimator = usual(LogisticRegression(max_iter=500))
    folder, manifest = packed(estimator, frame)
    assert manifest.runtime == "onnx"
    runtime, row = load_runtime(folder), frame.drop_nulls().to_dicts()[0]
    missing, unknown = runtime.predict_rows([row | {"city": None}, row | {"city": "Atlantis"}])
    assert missing == unknown


NOT_EXPORTED = {
    "infrequent": lambda: usual(LogisticRegression(), min_frequency=60, drop="first"),
    "weighted": lambda: make_pipeline(
        ColumnTransformer(
            [("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS)], transformer_weights={"texts": 2.0}
        ),
        LogisticRegression(),
    ),
    "the function 'cbrt'": lambda: make_pipeline(
        ColumnTransformer([("income", FunctionTransformer(np.cbrt), ["income"])]), LogisticRegression()
    ),
}


@pytest.mark.parametrize("reason", NOT_EXPORTED)
def test_what_is_not_known_is_kept_as_it_is_and_says_why(packed: Packed, rows: pl.DataFrame, reason: str) -> None:
    estimator = NOT_EXPORTED[reason]()
    folder, manifest = packed(estimator)
    assert manifest.runtime == "skops"
    assert reason in manifest.not_exported
    holds(estimator, folder, rows)


def test_columns_may_be_named_by_their_places(rows: pl.DataFrame, packed: Packed) -> None:
    texts = OneHotEncoder(handle_unknown="ignore")
    estimator = make_pipeline(
        ColumnTransformer([("texts", texts, [3, 1]), ("numbers", SimpleImputer(), slice(4, 5))]), LogisticRegression()
    )
    folder, manifest = packed(estimator)
    assert manifest.runtime == "onnx"
    holds(estimator, folder, rows)


@pytest.fixture(scope="module")
def pair(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """An estimator and its exported runtime."""
    estimator = usual(RandomForestClassifier(7, random_state=2), sparse_output=False)
    estimator.fit(rows, (rows["income"] > rows["income"].median()).cast(pl.Int64).to_numpy())
    folder = tmp_path_factory.mktemp("pair") / "bundle"
    signature = signature_of(rows, fit_encoder(rows), task="binary", classes=(0, 1))
    assert package(estimator, None, signature, rows, folder, latency_runs=5).runtime == "onnx"
    return estimator, load_runtime(folder)


VALUES = st.fixed_dictionaries(
    {
        "age": st.none() | st.floats(-1e6, 1e6),
        "income": st.floats(0, 1e9),
        "visits": st.integers(0, 100),
        "city": st.none() | st.sampled_from(["Rom", "Wien", "Bern", "Oslo", ""]) | st.text(max_size=5),
        "plan": st.none() | st.sampled_from(["a", "b"]) | st.text(max_size=3),
        "member": st.none() | st.booleans(),
    }
)


@given(row=VALUES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_row_is_answered_as_the_estimator_answers_it(
    pair: tuple[Any, Any], rows: pl.DataFrame, row: dict[str, Any]
) -> None:
    estimator, runtime = pair
    if any("\0" in (row[name] or "") for name in TEXTS):
        return
    frame = pl.DataFrame([row], schema=rows.schema, orient="row").select(rows.columns)
    expected = estimator.predict_proba(frame)[0, 1]
    np.testing.assert_allclose(runtime.predict_rows([row])[0], expected, rtol=1e-9, atol=1e-12)


def test_a_matrix_pipeline_with_an_encoder_is_exported(rows: pl.DataFrame, tmp_path: Path) -> None:
    frame = rows.select("visits", "income")
    encoder = fit_encoder(frame)
    estimator = make_pipeline(
        ColumnTransformer([("visits", OneHotEncoder(handle_unknown="ignore"), [0])], remainder="passthrough"),
        LogisticRegression(),
    )
    matrix = encode_frame(frame, encoder)
    estimator.fit(matrix, (matrix[:, 0] > 4).astype(int))
    signature = signature_of(frame, encoder, task="binary", classes=(0, 1))
    manifest = package(estimator, encoder, signature, frame, tmp_path / "bundle", latency_runs=5)
    assert manifest.runtime == "onnx", manifest.not_exported
