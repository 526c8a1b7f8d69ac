"""Boosters of XGBoost, held against XGBoost itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid
from kept.packaging.build import package
from kept.packaging.exporters.registry import Exported, export
from kept.packaging.exporters.xgboost_booster import XgBoostModel
from kept.packaging.frames import fit_encoder, signature_of
from kept.packaging.limits import FLOAT32_LIMIT
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.portable import PortableModel
from kept.packaging.runtime import load_runtime
from kept.packaging.ubjson import read_ubjson

xgboost = pytest.importorskip("xgboost")
NAMES = ("a b", "b", "c")


@pytest.fixture(scope="module")
def values() -> NDArray[np.float64]:
    """Rows of which some values are missing."""
    random = np.random.default_rng(3)
    found = random.normal(size=(600, 3)) * [1, 1e6, 1e-6]
    found[random.random(found.shape) < 0.1] = np.nan
    return found


def trained(values: NDArray[np.float64], rounds: int = 15, **settings: Any) -> Any:
    classes = settings.get("num_class", 2)
    score = np.nan_to_num(values[:, 0]) + np.nan_to_num(values[:, 2]) * 1e6
    target = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)) + settings.pop("above", 0)
    data = xgboost.DMatrix(values, target, feature_names=list(NAMES))
    return xgboost.train({"max_depth": 4, "nthread": 1, **settings}, data, rounds)


def data_of(booster: Any, form: str = "ubj") -> bytes:
    return bytes(booster.save_raw(form))


def probes(model: XgBoostModel, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of the data, and rows on and beside every threshold of the doubles and of the floats, with what is missing."""
    splits = np.concatenate([tree.threshold[tree.left >= 0] for tree, _ in model.trees] + [np.zeros(1)])
    floats = splits.astype(np.float32)
    near = [np.nextafter(floats, np.float32(edge)).astype(np.float64) for edge in (np.inf, -np.inf)]
    beside = [splits, np.nextafter(splits, np.inf), np.nextafter(splits, -np.inf), floats.astype(np.float64), *near]
    marks = np.concatenate([*beside, np.array([np.nan, 1e30, -1e30, FLOAT32_LIMIT, 5e-324, -0.0, 1e-46])])
    return np.vstack([values, np.random.default_rng(0).choice(marks, (5_000, 3))])


@pytest.mark.parametrize(
    ("settings", "classes"),
    [
        ({"objective": "binary:logistic"}, (0, 1)),
        ({"objective": "binary:logistic", "base_score": 0.2, "num_parallel_tree": 2, "subsample": 0.5}, (False, True)),
        ({"objective": "multi:softprob", "num_class": 3}, (0, 1, 2)),
        ({"objective": "reg:squarederror"}, ()),
        ({"objective": "reg:squarederror", "max_depth": 1, "min_child_weight": 1e9}, ()),
        ({"objective": "count:poisson", "above": 1}, ()),
    ],
    ids=str,
)
def test_the_export_goes_the_ways_that_xgboost_goes(
    values: NDArray[np.float64], settings: dict[str, Any], classes: tuple[Any, ...]
) -> None:
    model = XgBoostModel(data_of(trained(values, **dict(settings))), names=NAMES, classes=classes)
    exported = export(model)
    assert isinstance(exported, Exported), exported
    asked = probes(model, values)
    found = OnnxModel(exported.model, width=3).run(asked)
    expected = model.predict_proba(asked) if classes else model.predict(asked)
    expected = expected[:, 1:] if len(classes) == 2 else expected.reshape(len(asked), -1)
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_the_rounds_that_answer_are_those_of_its_face(values: NDArray[np.float64]) -> None:
    labels = (np.nan_to_num(values[:, 0]) > 0).astype(int)
    noise = np.random.default_rng(5).integers(0, 2, len(labels))
    face = xgboost.XGBClassifier(n_estimators=9, early_stopping_rounds=3, n_jobs=1)
    face.fit(values, labels, eval_set=[(values, noise)], verbose=False)
    data = data_of(face.get_booster(), "json")
    best = XgBoostModel(data, names=NAMES, classes=(0, 1), best=True)
    assert np.allclose(best.predict_proba(values), face.predict_proba(values), rtol=0, atol=1e-7)
    whole = XgBoostModel(data, names=NAMES, classes=(0, 1))
    assert len(whole.trees) > len(best.trees) == face.best_iteration + 1
    exported = export(best)
    assert isinstance(exported, Exported)
    found = OnnxModel(exported.model, width=3).run(values)[:, 0]
    assert np.allclose(found, face.predict_proba(values)[:, 1], rtol=0, atol=1e-6)


def test_a_booster_becomes_a_bundle(values: NDArray[np.float64], tmp_path: Path) -> None:
    model = XgBoostModel(data_of(trained(values, objective="binary:logistic")), classes=(0, 1))
    assert model.feature_names_in_ == NAMES
    rows = pl.DataFrame(values, schema=list(NAMES))
    encoder = fit_encoder(rows)
    signature = signature_of(rows, encoder, task="binary", classes=(0, 1))
    manifest = package(model, encoder, signature, rows, tmp_path / "bundle", latency_runs=5)
    assert (manifest.runtime, manifest.not_exported, manifest.parity.tolerance) == ("onnx", "", 1e-6)
    expected = load_runtime(tmp_path / "bundle").predict(values)
    assert np.array_equal(PortableModel(tmp_path / "bundle").predict(values), expected)
    with pytest.raises(Invalid, match="larger than the model can take"):
        load_runtime(tmp_path / "bundle").predict_rows([{"a b": 1e300, "b": 0.0, "c": 0.0}])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objective": "multi:softmax", "num_class": 3}, "multi:softmax"),
        ({"objective": "rank:pairwise"}, "rank:pairwise"),
        ({"objective": "binary:logistic", "booster": "dart"}, "'dart'"),
    ],
    ids=str,
)
def test_what_could_not_be_exact_is_refused(values: NDArray[np.float64], settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        XgBoostModel(data_of(trained(values, **settings)))


def test_both_forms_say_the_same(values: NDArray[np.float64]) -> None:
    booster = trained(values, objective="multi:softprob", num_class=3)
    assert read_ubjson(data_of(booster, "ubj")).keys() == {"learner", "version"}
    one, other = (XgBoostModel(data_of(booster, form), classes=(0, 1, 2)) for form in ("ubj", "json"))
    assert np.array_equal(one.base, other.base)
    for (first, target), (second, same) in zip(one.trees, other.trees, strict=True):
        assert target == same
        assert np.array_equal(first.threshold, second.threshold)
        assert np.array_equal(first.value, second.value)


def test_splits_by_category_are_refused() -> None:
    kinds = np.arange(600.0)[:, None] % 9
    data = xgboost.DMatrix(kinds, np.isin(kinds[:, 0], [1, 4, 7]), feature_types=["c"], enable_categorical=True)
    with pytest.raises(Invalid, match="by category"):
        XgBoostModel(data_of(xgboost.train({"max_cat_to_onehot": 1, "objective": "binary:logistic"}, data, 3)))


def test_names_classes_and_file_must_fit(values: NDArray[np.float64]) -> None:
    data = data_of(trained(values, objective="binary:logistic"))
    with pytest.raises(Invalid, match="trained on the columns a b, b, c"):
        XgBoostModel(data, names=("b", "a b", "c"))
    with pytest.raises(Invalid, match="answers 2 classes"):
        XgBoostModel(data, classes=(0, 1, 2))
    text = data_of(trained(values, objective="binary:logistic"), "json")
    other = text.replace(b'"left_children":[1,', b'"left_children":[99,', 1)
    assert other != text
    for damaged in (b"", b"{}", data[: len(data) // 2], text[: len(text) // 2], b'{"learner": {}}', other):
        with pytest.raises(Damaged, match="not a booster"):
            XgBoostModel(damaged)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (("gradient_booster", "model", "tree_info"), [5_000_000] * 3),
        (("gradient_booster", "model", "tree_info"), [-5] * 3),
        (("gradient_booster", "model", "iteration_indptr"), [0, -5, 2, 3]),
        (("gradient_booster", "model", "trees", 0, "split_indices"), [100_000_000] * 7),
        (("gradient_booster", "model", "trees", 0, "split_indices"), [-9] * 7),
        (("gradient_booster", "model", "trees", 0, "parents"), [0]),
        (("learner_model_param", "num_feature"), "1000000000"),
        (("learner_model_param", "num_class"), "1000000000"),
    ],
    ids=str,
)
def test_xgboost_never_reads_what_would_take_the_process_down(
    values: NDArray[np.float64], place: tuple[Any, ...], told: Any
) -> None:
    booster = trained(values, rounds=3, objective="binary:logistic", max_depth=2)
    whole = json.loads(data_of(booster, "json"))
    at = whole["learner"]
    for step in place[:-1]:
        at = at[step]
    assert place[-1] in at
    at[place[-1]] = told
    with pytest.raises(Damaged):
        XgBoostModel(json.dumps(whole).encode(), names=NAMES)


def test_xgboost_is_given_what_was_read_and_not_the_file(values: NDArray[np.float64]) -> None:
    plain = data_of(trained(values, rounds=3, objective="binary:logistic"), "json")
    broken = json.loads(plain)["learner"]
    broken["gradient_booster"]["model"]["tree_info"] = [5_000_000] * 3
    # The later of two counts here, whichever counts there.
    twice = b'{"learner":' + json.dumps(broken).encode() + b"," + plain[1:]
    assert np.array_equal(XgBoostModel(twice).predict(values), XgBoostModel(plain).predict(values))
