import importlib.util
import json
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR

from kept.core.errors import Invalid
from kept.packaging.build import package
from kept.packaging.bundle import read_bundle
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.packaging.manifest import Manifest
from kept.packaging.model_folder import FolderFacts, write_model_folder
from kept.packaging.portable import PortableModel
from kept.packaging.runtime import load_runtime

Make = Callable[..., tuple[Path, Manifest]]
FACTS = FolderFacts(
    id="01a1fc3b-7a65-7371-8aa3-1df0d4cfb85e", model="trains", number=3, run_id=None, created_at=datetime(2026, 1, 2, tzinfo=UTC)
)  # fmt: skip


@pytest.fixture
def folder(packaged: Make, tmp_path: Path) -> Path:
    """A model folder of a boosted model."""
    bundle, _ = packaged()
    write_model_folder(bundle, tmp_path / "folder", FACTS)
    return tmp_path / "folder"


def test_the_bundle_travels_as_it_is(folder: Path, tmp_path: Path) -> None:
    assert read_bundle(folder / "bundle").digest == read_bundle(tmp_path / "bundle").digest
    told = yaml.safe_load((folder / "MLmodel").read_text())
    assert told["metadata"]["kept"]["bundle"] == read_bundle(folder / "bundle").digest
    assert set(told["flavors"]) == {"python_function", "onnx"}
    inputs = {one["name"]: one["type"] for one in json.loads(told["signature"]["inputs"])}
    assert inputs == {"number": "any", "category": "string", "when": "any", "flag": "any", "count": "any"}
    assert "onnxruntime" in (folder / "requirements.txt").read_text()


@pytest.mark.parametrize("lacking", ["onnxruntime", "skops"])
def test_a_library_that_is_not_there_is_named_with_what_to_do(
    folder: Path, tmp_path: Path, frame: pl.DataFrame, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = folder / "bundle"
    if lacking == "skops":
        bundle = tmp_path / "kept-as-it-is"
        rows = frame.select(pl.col("number").fill_null(0))
        encoder = fit_encoder(rows)
        signature = signature_of(rows, encoder, task="regression")
        model = TransformedTargetRegressor().fit(encode_frame(rows, encoder), rows.get_column("number").to_numpy())
        package(model, encoder, signature, rows, bundle)
    for module in [name for name in sys.modules if name.partition(".")[0] == lacking]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"this model needs {lacking}.*pip install '{lacking}.*requirements\.txt"):
        PortableModel(bundle)


def test_its_code_stands_alone(folder: Path) -> None:
    told = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
    (file,) = (folder / told["code"]).iterdir()
    assert file.stem == told["loader_module"]
    assert "from kept" not in file.read_text()
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    example = json.loads((folder / "input_example.json").read_text())
    rows = [dict(zip(example["columns"], row, strict=True)) for row in example["data"]]
    expected = load_runtime(folder / "bundle").predict_rows(rows)
    assert np.array_equal(module._load_pyfunc(str(folder / told["data"])).predict(rows), expected)


def test_writing_again_changes_nothing(packaged: Make, folder: Path) -> None:
    before = (folder / "MLmodel").read_bytes()
    other, _ = packaged("other")
    write_model_folder(other, folder, FACTS)
    assert (folder / "MLmodel").read_bytes() == before


VALUES = {
    "number": st.floats(allow_nan=True) | st.none() | st.integers(-9, 9) | st.just("1"),
    "category": st.sampled_from([*"abz", None, 1]),
    "when": st.floats(1e9, 2e9) | st.none(),
    "flag": st.booleans() | st.none(),
    "count": st.integers(-1, 99) | st.none(),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=4))
def test_it_answers_what_kept_answers_or_refuses_too(folder: Path, rows: list[dict[str, Any]]) -> None:
    model, runtime = PortableModel(folder / "bundle"), load_runtime(folder / "bundle")
    try:
        expected = runtime.predict_rows(rows)
    except Invalid:
        with pytest.raises(ValueError, match="column"):
            model.predict(rows)
    else:
        assert np.array_equal(model.predict(rows), expected, equal_nan=True)


def test_rows_come_in_every_form(folder: Path, frame: pl.DataFrame) -> None:
    model = PortableModel(folder / "bundle")
    rows = frame.head(9)
    expected = load_runtime(folder / "bundle").predict_rows(rows.to_dicts())
    for data in (rows.to_dicts(), rows.to_dict(as_series=False), rows, np.array(rows.rows(), dtype=object)):
        assert np.array_equal(model.predict(data), expected)
    with pytest.raises(ValueError, match="'count' is missing"):
        model.predict(rows.drop("count").to_dicts())
    with pytest.raises(ValueError, match="expected 5 columns"):
        model.predict(np.zeros((2, 3)))


def test_what_the_estimator_refuses_is_refused(frame: pl.DataFrame, tmp_path: Path) -> None:
    numbers = frame.select("number", "when").drop_nulls()
    encoder = fit_encoder(numbers)
    values = encode_frame(numbers, encoder)
    target: NDArray[np.float64] = values[:, 0]
    signature = signature_of(numbers, encoder, task="regression")
    package(
        TransformedTargetRegressor().fit(values, target),
        encoder,
        signature,
        numbers,
        tmp_path / "bundle",
        latency_runs=5,
    )
    model, runtime = PortableModel(tmp_path / "bundle"), load_runtime(tmp_path / "bundle")
    assert np.array_equal(model.predict(numbers), runtime.predict_rows(numbers.to_dicts()))
    for wrong in (None, math.inf):
        with pytest.raises(Invalid):
            runtime.predict_rows([{"number": wrong, "when": 1.0}])
        with pytest.raises(ValueError, match="'number'"):
            model.predict([{"number": wrong, "when": 1.0}])


def test_a_changed_file_is_found_out(folder: Path) -> None:
    (folder / "bundle" / "model.onnx").write_bytes(b"other")
    with pytest.raises(ValueError, match="not the file that was packaged"):
        PortableModel(folder / "bundle")


def test_a_pickle_is_not_handed_out(frame: pl.DataFrame, tmp_path: Path) -> None:
    numbers = frame.select("number", "when").drop_nulls()
    encoder = fit_encoder(numbers)
    values = encode_frame(numbers, encoder)
    estimator = make_pipeline(SimpleImputer(), _Own()).fit(values, values[:, 0])
    signature = signature_of(numbers, encoder, task="regression")
    bundle = tmp_path / "bundle"
    package(estimator, encoder, signature, numbers, bundle, latency_runs=5, allow_pickle=True)
    with pytest.raises(Invalid, match="pickle"):
        write_model_folder(bundle, tmp_path / "folder", FACTS)
    assert not (tmp_path / "folder").exists()


class _Own(SVR):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator of somebody's own, which is no part of scikit-learn."""
