"""Each case that a float32 conversion is known to answer wrongly without an error: ours is right, or not exported."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from kept.packaging.build import package
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.packaging.runtime import load_runtime
from kept.packaging.signature import Task


def served(estimator: Any, frame: pl.DataFrame, target: Any, folder: Path) -> Any:
    """The estimator's own answers, the bundle's, and the bundle's manifest."""
    encoder = fit_encoder(frame)
    matrix = encode_frame(frame, encoder)
    task: Task = "binary" if hasattr(estimator, "predict_proba") else "regression"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(matrix, target)
        expected = estimator.predict_proba(matrix)[:, 1] if task == "binary" else estimator.predict(matrix)
    signature = signature_of(frame, encoder, task=task, classes=(0, 1) if task == "binary" else ())
    manifest = package(estimator, encoder, signature, frame, folder)
    return expected, load_runtime(folder).predict_rows(frame.to_dicts()), manifest


def test_categories_native_to_histogram_boosting(frame: pl.DataFrame, late: NDArray[np.int64], tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=20, categorical_features=[1])
    expected, found, manifest = served(model, frame, late, tmp_path / "b")
    assert manifest.runtime == "onnx"
    assert np.abs(expected - found).max() < 1e-12


@pytest.mark.parametrize(
    "model", [DecisionTreeClassifier(max_depth=9), RandomForestClassifier(n_estimators=9, random_state=0)]
)
def test_trees_trained_with_missing_values(
    model: Any, frame: pl.DataFrame, late: NDArray[np.int64], tmp_path: Path
) -> None:
    expected, found, manifest = served(model, frame, late, tmp_path / "b")
    assert manifest.runtime == "onnx"
    assert np.array_equal(expected, found)


def test_imputer_with_indicator_before_a_linear_model(
    frame: pl.DataFrame, late: NDArray[np.int64], tmp_path: Path
) -> None:
    model = make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression(max_iter=20))
    expected, found, manifest = served(model, frame.drop("when"), late, tmp_path / "b")
    assert manifest.runtime == "onnx"
    assert np.abs(expected - found).max() < 1e-12


def test_linear_discriminant_analysis(frame: pl.DataFrame, late: NDArray[np.int64], tmp_path: Path) -> None:
    expected, found, manifest = served(
        make_pipeline(SimpleImputer(), LinearDiscriminantAnalysis()), frame, late, tmp_path / "b"
    )
    assert (manifest.runtime, manifest.converted) == ("onnx", ())
    assert np.abs(expected - found).max() < 1e-12


def test_poisson_regression_answers_counts_not_their_logarithm(frame: pl.DataFrame, tmp_path: Path) -> None:
    counts = frame.get_column("count").fill_null(0).to_numpy()
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=20)
    expected, found, manifest = served(model, frame.drop("count"), counts, tmp_path / "b")
    assert manifest.runtime == "onnx"
    assert found.min() > 0
    assert np.abs(expected - found).max() < 1e-12


def test_epoch_seconds_that_float32_cannot_hold(tmp_path: Path) -> None:
    times = 1_700_000_000 + np.arange(400)
    frame = pl.DataFrame({"when": times})
    late = (times % 2).astype(int)
    model = HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=1, max_leaf_nodes=200, max_bins=255)
    expected, found, manifest = served(model, frame, late, tmp_path / "b")
    assert manifest.runtime == "onnx"
    assert len(np.unique(expected)) > len(np.unique(np.float32(times)))
    assert np.abs(expected - found).max() < 1e-12


def test_values_on_thresholds(tmp_path: Path) -> None:
    # A grid of tenths: the thresholds are the means of neighbours, which are values of the grid as well.
    grid = np.round(np.arange(600) % 60 * 0.1, 1)
    frame = pl.DataFrame({"x": grid, "y": grid[::-1].copy()})
    late = (np.sin(grid * 7) > 0).astype(int)
    model = HistGradientBoostingClassifier(max_iter=15, min_samples_leaf=2)
    expected, found, manifest = served(model, frame, late, tmp_path / "b")
    assert manifest.runtime == "onnx"
    assert np.abs(expected - found).max() < 1e-12
    assert {group.name: group.rows for group in manifest.parity.groups}["thresholds"] >= 500
