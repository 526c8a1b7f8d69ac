"""Estimators of CatBoost, LightGBM and XGBoost in a project: fitted, kept as safe files, packaged exactly."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kept.core.errors import CheckFailed, Damaged, Invalid
from kept.packaging.build import package
from kept.packaging.encoding import TableEncoder
from kept.packaging.fitted import load_fitted, save_fitted
from kept.packaging.frames import fit_encoder, signature_of
from kept.packaging.runtime import load_runtime
from kept.plan.specs import ModelSpec, Task
from kept.training.estimators import fit_estimator, input_of, make_estimator, predict_scores

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

NUMBERS = ["number", "count"]
WORDS = ("early", "late", "never")


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    random = np.random.default_rng(5)
    number = random.normal(size=900)
    number[::17] = np.nan
    return pl.DataFrame(
        {
            "number": number,
            "count": random.integers(0, 40, 900).astype(float),
            "place": random.choice(["home", "office", "away"], 900),
        }
    )


def made(estimator: Any, encoder: TableEncoder) -> Any:
    return make_estimator(ModelSpec(name="m", function=lambda: estimator, task="binary"), {}, encoder, 3)


def targets(rows: pl.DataFrame, classes: int) -> NDArray[Any]:
    score = (
        np.nan_to_num(rows["number"].to_numpy()) + (rows["place"] == "home").to_numpy() + rows["count"].to_numpy() / 20
    )
    if not classes:
        return np.asarray(score)
    places = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    found: NDArray[Any] = np.asarray(WORDS[:classes])[places]
    return found


def by_place(booster: Any) -> Any:
    columns = ColumnTransformer(
        [("place", OneHotEncoder(handle_unknown="ignore"), ["place"]), ("numbers", SimpleImputer(), NUMBERS)]
    )
    return make_pipeline(columns, booster)


def catboost(kind: str) -> Any:
    return getattr(pytest.importorskip("catboost", reason="kept[catboost] is not installed"), kind)


BOOSTERS = [
    (lambda: catboost("CatBoostClassifier")(iterations=8, depth=4, verbose=0, thread_count=1), 2),
    (lambda: catboost("CatBoostClassifier")(iterations=8, depth=4, verbose=0, thread_count=1), 3),
    (lambda: catboost("CatBoostRegressor")(iterations=8, depth=4, verbose=0, thread_count=1), 0),
    (lambda: lightgbm.LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1), 2),
    (lambda: lightgbm.LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1), 3),
    (lambda: lightgbm.LGBMRegressor(n_estimators=8, verbose=-1, n_jobs=1), 0),
    (lambda: xgboost.XGBClassifier(n_estimators=8, n_jobs=1), 2),
    (lambda: xgboost.XGBClassifier(n_estimators=8, n_jobs=1), 3),
    (lambda: xgboost.XGBRegressor(n_estimators=8, n_jobs=1), 0),
]


@pytest.mark.parametrize("behind_columns", [False, True])
@pytest.mark.parametrize(("booster", "classes"), BOOSTERS)
def test_a_fitted_booster_is_served_as_it_answers(
    rows: pl.DataFrame, tmp_path: Path, booster: Any, classes: int, behind_columns: bool
) -> None:
    frame = rows if behind_columns else rows.select(NUMBERS)
    encoder, labels = fit_encoder(frame), targets(rows, classes)
    estimator = made(by_place(booster()) if behind_columns else booster(), encoder)
    fit_estimator(estimator, frame, labels, encoder, where="model m")
    own = predict_scores(estimator, frame, encoder)

    read = load_fitted(save_fitted(estimator, labels))
    task: Task = "regression" if not classes else "binary" if classes == 2 else "multiclass"
    signature = signature_of(frame, encoder, task=task, classes=WORDS[:classes])
    takes = encoder if input_of(read) == "matrix" else None
    manifest = package(read, takes, signature, frame, tmp_path / "bundle", latency_runs=5)
    assert manifest.runtime == "onnx"
    served = load_runtime(tmp_path / "bundle").predict_rows(
        [{**row, "number": None if np.isnan(row["number"]) else row["number"]} for row in frame.to_dicts()]
    )
    np.testing.assert_allclose(served, own, rtol=2e-6, atol=1e-6)
    assert np.ptp(own) > 0.1


def test_texts_are_refused_where_numbers_are_wanted(rows: pl.DataFrame) -> None:
    with pytest.raises(Invalid, match="there are texts in place"):
        made(lightgbm.LGBMClassifier(), fit_encoder(rows))


def test_a_booster_that_is_not_exported_exactly_is_not_packaged(rows: pl.DataFrame, tmp_path: Path) -> None:
    frame, labels = rows.select(NUMBERS), targets(rows, 2)
    encoder = fit_encoder(frame)
    estimator = made(xgboost.XGBClassifier(n_estimators=3, booster="dart"), encoder)
    fit_estimator(estimator, frame, labels, encoder, where="model m")
    signature = signature_of(frame, encoder, task="binary", classes=WORDS[:2])
    with pytest.raises((Invalid, CheckFailed), match="no exact exporter"):
        package(load_fitted(save_fitted(estimator, labels)), encoder, signature, frame, tmp_path / "bundle")


def test_a_broken_file_is_refused() -> None:
    with pytest.raises(Damaged):
        load_fitted(b"kept.boosted.1\n\x00")
