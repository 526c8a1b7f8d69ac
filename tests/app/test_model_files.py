"""Model files from outside made into bundles: a folder that MLflow wrote among them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kept.app.model_files import bundle_of
from kept.core.errors import Forbidden, Invalid, NotFound
from kept.packaging.bundle import read_bundle
from kept.packaging.runtime import load_runtime

ROWS = pl.DataFrame({"people": [1.0, 200.0, 30.0, 250.0], "coaches": [2.0, 9.0, 3.0, 4.0]})


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """A folder as `mlflow.sklearn.log_model(model, input_example=frame)` writes it."""
    folder = tmp_path / "logged"
    folder.mkdir()
    model = LogisticRegression().fit(ROWS.to_numpy(), np.array(["no", "yes", "no", "yes"]))
    skops.io.dump(model, folder / "model.skops")
    tell(folder)
    example = {"columns": ROWS.columns, "data": [list(row) for row in ROWS.rows()]}
    (folder / "input_example.json").write_text(json.dumps(example))
    return folder


def tell(folder: Path, **flavours: dict[str, str]) -> None:
    told = {
        "flavors": flavours or {"sklearn": {"pickled_model": "model.skops", "serialization_format": "skops"}},
        "signature": {"inputs": json.dumps([{"type": "double", "name": name} for name in ROWS.columns])},
    }
    (folder / "MLmodel").write_text(json.dumps(told))


def test_a_folder_of_mlflow_is_packaged_with_the_rows_that_it_brings(logged: Path, tmp_path: Path) -> None:
    bundle = bundle_of(logged, None, tmp_path / "bundle")
    manifest = read_bundle(bundle).manifest
    assert (manifest.runtime, manifest.signature.classes) == ("onnx", ("no", "yes"))
    answers = load_runtime(bundle).predict_rows(ROWS.to_dicts())
    expected = skops.io.load(logged / "model.skops").predict_proba(ROWS.to_numpy())[:, 1]
    assert np.allclose(answers, expected, rtol=0, atol=1e-9)


def test_rows_can_be_given_with_more_than_it_takes(logged: Path, tmp_path: Path) -> None:
    (logged / "input_example.json").unlink()
    with pytest.raises(Invalid, match="without an example of the rows"):
        bundle_of(logged, None, tmp_path / "bundle")
    ROWS.select("coaches", pl.lit("x").alias("line"), "people").write_parquet(tmp_path / "rows.parquet")
    bundle = read_bundle(bundle_of(logged, tmp_path / "rows.parquet", tmp_path / "bundle"))
    assert bundle.manifest.signature.names == ("people", "coaches")
    ROWS.select("coaches").write_csv(tmp_path / "rows.csv")
    with pytest.raises(Invalid, match="no column 'people'"):
        bundle_of(logged, tmp_path / "rows.csv", tmp_path / "other")


def test_what_can_not_be_read_safely_or_says_too_little_is_refused(logged: Path, tmp_path: Path) -> None:
    tell(logged, sklearn={"pickled_model": "model.pkl", "serialization_format": "cloudpickle"})
    with pytest.raises(Forbidden, match="can run any code"):
        bundle_of(logged, None, tmp_path / "bundle")
    tell(logged, xgboost={"data": "model.ubj"})
    with pytest.raises(Invalid, match="what its answers are called"):
        bundle_of(logged, None, tmp_path / "bundle")
    tell(logged, sklearn={"pickled_model": "gone.skops", "serialization_format": "skops"})
    with pytest.raises(NotFound, match="does not hold gone.skops"):
        bundle_of(logged, None, tmp_path / "bundle")
    with pytest.raises(NotFound, match="no such model"):
        bundle_of(tmp_path / "nothing", None, tmp_path / "bundle")


@pytest.fixture
def by_name(tmp_path: Path) -> Path:
    """An estimator as people train it on a data frame: text and numbers, columns chosen by name."""
    encoder = ColumnTransformer([("line", OneHotEncoder(handle_unknown="ignore"), ["line"])], remainder="passthrough")
    rows = ROWS.with_columns(line=pl.Series(["north", "south", "north", "south"]))
    model = make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(rows, np.array(["no", "yes", "no", "yes"]))
    skops.io.dump(model, tmp_path / "model.skops")
    return tmp_path / "model.skops"


def test_a_pipeline_with_an_encoder_of_its_own_is_packaged(by_name: Path, tmp_path: Path) -> None:
    rows = ROWS.with_columns(line=pl.Series(["north", "south", "north", "south"]))
    rows.select("line", pl.lit(1).alias("more"), "coaches", "people").write_csv(tmp_path / "rows.csv")
    bundle = bundle_of(by_name, tmp_path / "rows.csv", tmp_path / "bundle")
    manifest = read_bundle(bundle).manifest
    assert manifest.signature.names == ("people", "coaches", "line")
    answers = load_runtime(bundle).predict_rows(rows.to_dicts())
    expected = skops.io.load(by_name, trusted=[]).predict_proba(rows)[:, 1]
    assert np.allclose(answers, expected, rtol=0, atol=1e-9)


def test_a_sample_that_is_no_sample_is_told(by_name: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no such file"):
        bundle_of(by_name, tmp_path / "nothing.csv", tmp_path / "bundle")
    ROWS.write_csv(tmp_path / "rows.csv")
    with pytest.raises(Invalid, match="no column 'line', which the model takes"):
        bundle_of(by_name, tmp_path / "rows.csv", tmp_path / "bundle")


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib"])
def test_of_a_pickle_it_is_said_how_to_save_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(Invalid, match="skops.io.dump"):
        bundle_of(tmp_path / name, None, tmp_path / "bundle")
