"""Boosters of LightGBM, held against LightGBM itself."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid
from kept.packaging.build import package
from kept.packaging.exporters.lightgbm_booster import LightGbmModel
from kept.packaging.exporters.registry import Exported, export
from kept.packaging.frames import fit_encoder, signature_of
from kept.packaging.onnx_model import OnnxModel

lightgbm = pytest.importorskip("lightgbm")
NAMES = ("a b", "b", "c")


@pytest.fixture(scope="module")
def values() -> NDArray[np.float64]:
    """Rows with what is missing, zeros and large numbers."""
    random = np.random.default_rng(3)
    found = random.normal(size=(600, 3)) * [1, 1e6, 1e-6]
    found[random.random(found.shape) < 0.1] = np.nan
    found[random.random(found.shape) < 0.1] = 0.0
    return found


def text_of(values: NDArray[np.float64], rounds: int = 15, **settings: Any) -> str:
    classes = settings.get("num_class", 2)
    score = np.nan_to_num(values[:, 0]) + np.nan_to_num(values[:, 2]) * 1e6
    target = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    data = lightgbm.Dataset(values, target, feature_name=list(NAMES))
    found: str = lightgbm.train({"verbose": -1, "num_threads": 1, **settings}, data, rounds).model_to_string()
    return found


def probes(model: LightGbmModel, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of the data, and rows on and beside every threshold, with what is missing and what is huge."""
    splits = np.concatenate([tree.threshold[tree.left >= 0] for tree in model.trees] + [np.zeros(1)])
    beside = [splits, np.nextafter(splits, np.inf), np.nextafter(splits, -np.inf), -splits]
    marks = np.concatenate([*beside, np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -0.0, 1e-35, -1e-35])])
    random = np.random.default_rng(0)
    return np.vstack([values, random.choice(marks, (5_000, 3))])


@pytest.mark.parametrize(
    ("settings", "classes"),
    [
        ({"objective": "binary"}, (0, 1)),
        ({"objective": "binary", "sigmoid": 2.0, "use_missing": False}, (False, True)),
        ({"objective": "binary", "boosting": "dart"}, (0, 1)),
        ({"objective": "multiclass", "num_class": 3, "num_leaves": 7}, (0, 1, 2)),
        ({"objective": "regression"}, ()),
        ({"objective": "regression", "min_data_in_leaf": 600}, ()),
        ({"objective": "poisson"}, ()),
        ({"objective": "quantile", "alpha": 0.2}, ()),
    ],
    ids=str,
)
def test_the_export_answers_what_lightgbm_answers(
    values: NDArray[np.float64], settings: dict[str, Any], classes: tuple[Any, ...]
) -> None:
    model = LightGbmModel(text_of(values, **settings), names=NAMES, classes=classes)
    exported = export(model)
    assert isinstance(exported, Exported), exported
    asked = probes(model, values)
    found = OnnxModel(exported.model, width=3).run(asked)
    expected = model.predict_proba(asked) if classes else model.predict(asked)
    expected = expected[:, 1:] if len(classes) == 2 else expected.reshape(len(asked), -1)
    assert np.allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_a_booster_becomes_a_bundle(values: NDArray[np.float64], tmp_path: Path) -> None:
    model = LightGbmModel(text_of(values, objective="binary"), names=NAMES, classes=(0, 1))
    rows = pl.DataFrame(values, schema=list(NAMES))
    encoder = fit_encoder(rows)
    signature = signature_of(rows, encoder, task="binary", classes=(0, 1))
    manifest = package(model, encoder, signature, rows, tmp_path / "bundle", latency_runs=5)
    assert (manifest.runtime, manifest.not_exported) == ("onnx", "")
    assert {one.name for one in manifest.parity.groups} >= {"training rows", "thresholds", "missing", "extremes"}
    assert manifest.parity.holds


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objective": "multiclassova", "num_class": 3}, "multiclassova"),
        ({"objective": "regression", "reg_sqrt": True}, "sqrt"),
        ({"objective": "binary", "zero_as_missing": True}, "zeros for missing"),
        ({"objective": "regression", "linear_tree": True}, "linear trees"),
        ({"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "random forest"),
    ],
    ids=str,
)
def test_what_could_not_be_exact_is_refused(values: NDArray[np.float64], settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        LightGbmModel(text_of(values, **settings), classes=())


def test_splits_by_category_are_refused() -> None:
    kinds = np.arange(600.0)[:, None] % 9
    data = lightgbm.Dataset(kinds, np.isin(kinds[:, 0], [1, 4, 7]).astype(int), categorical_feature=[0])
    with pytest.raises(Invalid, match="by category"):
        LightGbmModel(lightgbm.train({"verbose": -1, "objective": "binary"}, data, 3).model_to_string())


def test_names_and_classes_must_fit(values: NDArray[np.float64]) -> None:
    text = text_of(values, objective="binary")
    assert LightGbmModel(text).feature_names_in_ == ("a_b", "b", "c")
    with pytest.raises(Invalid, match="trained on the columns a_b, b, c"):
        LightGbmModel(text, names=("b", "a b", "c"))
    with pytest.raises(Invalid, match="answers 2 classes"):
        LightGbmModel(text, classes=(0, 1, 2))


@pytest.mark.parametrize(
    "change",
    [("left_child=", "left_child=99 "), ("tree\n", ""), ("leaf_value=", "leaf="), ("threshold=", "threshold=x ")],
)
def test_a_damaged_file_is_no_booster(values: NDArray[np.float64], change: tuple[str, str]) -> None:
    with pytest.raises(Damaged, match="not a booster"):
        LightGbmModel(text_of(values, objective="binary").replace(*change))


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("left_child", "1 2 1"),
        ("left_child", "1 2 0"),
        ("split_feature", "9999999 9999999 9999999"),
        ("split_feature", "-9 -9 -9"),
        ("split_feature", "0_0 0 0"),
        ("tree_sizes", "1000000000 1"),
        ("num_tree_per_iteration", "0"),
        ("num_class", "1000000"),
        ("feature_names", "a b c d"),
    ],
)
def test_lightgbm_never_reads_what_would_take_the_process_down(
    values: NDArray[np.float64], field: str, told: str
) -> None:
    text = text_of(values, rounds=2, objective="binary", num_leaves=4)
    broken = re.sub(rf"^{field}=.*$", f"{field}={told}", text, flags=re.MULTILINE)
    assert broken != text
    if field == "tree_sizes":
        assert np.array_equal(LightGbmModel(broken).predict(values), LightGbmModel(text).predict(values))
        return
    with pytest.raises(Damaged):
        LightGbmModel(broken)


def test_what_is_said_twice_is_no_booster(values: NDArray[np.float64]) -> None:
    text = text_of(values, rounds=2, objective="binary", num_leaves=4)
    twice = text.replace("\nsplit_feature=", "\nsplit_feature=9999999 9999999 9999999\nsplit_feature=")
    with pytest.raises(Damaged, match="twice"):
        LightGbmModel(twice)
