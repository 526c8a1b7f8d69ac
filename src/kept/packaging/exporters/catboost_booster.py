"""Boosters of CatBoost, read from their own JSON form: what they are made of, and CatBoost itself to hold an export against."""

import importlib
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid
from kept.packaging.exporters.booster import Booster
from kept.packaging.exporters.ensemble import Tree
from kept.packaging.exporters.trees import float32_splits

_WHERE = "CatBoost file"
_LINKS = {
    "Logloss": "sigmoid",
    "CrossEntropy": "sigmoid",
    "MultiClass": "softmax",
    "RMSE": "identity",
    "MAE": "identity",
    "Quantile": "identity",
    "MAPE": "identity",
    "Huber": "identity",
    "LogCosh": "identity",
    "Poisson": "exp",
    "Tweedie": "exp",
}
_ASKED = {"sigmoid": "Probability", "softmax": "Probability", "identity": "RawFormulaVal", "exp": "Exponent"}
# CatBoost grows no deeper ones.
_DEEPEST = 16


class _Split(msgspec.Struct, frozen=True):
    border: float
    split_type: str
    float_feature_index: int = 0


class _ObliviousTree(msgspec.Struct, frozen=True):
    splits: list[_Split] | None
    leaf_values: list[float]
    leaf_weights: list[float]


class _Feature(msgspec.Struct, frozen=True):
    nan_value_treatment: str
    flat_feature_index: int


class _Features(msgspec.Struct, frozen=True):
    float_features: list[_Feature] = []
    categorical_features: list[Any] = []
    text_features: list[Any] = []
    embedding_features: list[Any] = []


class _Loss(msgspec.Struct, frozen=True):
    type: str


class _Parameters(msgspec.Struct, frozen=True):
    loss_function: _Loss


class _Info(msgspec.Struct, frozen=True):
    params: _Parameters


class _File(msgspec.Struct, frozen=True):
    features_info: _Features
    model_info: _Info
    scale_and_bias: tuple[float, list[float]]
    oblivious_trees: list[_ObliviousTree] | None = None


class CatBoostModel(Booster):
    """A booster behind the face of a scikit-learn estimator. CatBoost answers; it must be installed.

    Args:
        data: what `save_model(..., format="json")` writes.
        classes: names of the classes, in the order of CatBoost's answers; none for a regression.

    Raises:
        Damaged: it is not such a file.
        Invalid: CatBoost is not installed here, or there is no exporter for a model of this kind.
    """

    def __init__(self, data: bytes, *, classes: tuple[Any, ...] = ()) -> None:
        try:
            told = msgspec.json.decode(data, type=_File)
        except msgspec.DecodeError as error:
            what = f"this is not a booster of CatBoost: {error}"
            raise Damaged(what, where=_WHERE, fix="Save it again") from error
        loss, features = told.model_info.params.loss_function.type, told.features_info
        if loss not in _LINKS:
            raise Invalid(f"there is no exact exporter for the loss {loss!r}", where=_WHERE)
        if features.categorical_features or features.text_features or features.embedding_features:
            fix = "Encode them as numbers before it"
            raise Invalid("there is no exact exporter for columns that are no numbers", where=_WHERE, fix=fix)
        if told.oblivious_trees is None:
            fix = "Let it grow symmetric trees, as it does by itself"
            raise Invalid("there is no exact exporter for trees that are not symmetric", where=_WHERE, fix=fix)
        self.link = _LINKS[loss]
        self.scale, self.bias = told.scale_and_bias
        self.targets = len(self.bias)
        self.n_features_in_ = len(features.float_features)
        if classes and len(classes) != max(2, self.targets):
            raise Invalid(f"it answers {max(2, self.targets)} classes, not {len(classes)}", where=_WHERE)
        if [one.flat_feature_index for one in features.float_features] != list(range(self.n_features_in_)):
            raise Damaged("its columns are not in order", where=_WHERE)
        as_high = [one.nan_value_treatment == "AsTrue" for one in features.float_features]
        self.trees = [
            (made, target)
            for tree in told.oblivious_trees
            for target, made in enumerate(_trees(tree, self.targets, np.array(as_high, dtype=bool)))
        ]
        if classes:
            self.classes_ = np.array(classes)
        self._booster = _read_by_library(data)

    def _ask(self, features: Any) -> NDArray[np.float64]:
        rows = np.asarray(features, dtype=np.float64)
        found = self._booster.predict(rows, prediction_type=_ASKED[self.link], thread_count=1)
        answers = np.asarray(found, dtype=np.float64)
        return answers[:, 1] if self.link == "sigmoid" else answers


def _read_by_library(data: bytes) -> Any:
    """CatBoost's own reading, of a file that was found whole here; it reads JSON from files only."""
    try:
        library = importlib.import_module("catboost")
    except (ImportError, OSError) as error:
        what = f"CatBoost is not installed here, and without it nobody can check the answers ({error})"
        raise Invalid(what, where=_WHERE, fix="Install it: pip install 'kept[catboost]'") from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        path.write_bytes(data)
        try:
            return library.CatBoost().load_model(str(path), format="json")
        except library.CatBoostError as error:
            raise Damaged(f"CatBoost does not read it: {error}", where=_WHERE, fix="Save it again") from error


def _trees(told: _ObliviousTree, targets: int, as_high: NDArray[np.bool_]) -> list[Tree]:
    """A symmetric tree, once for each target: level by level the same question, asked of all rows.

    A row's leaf has bit i set where its value, rounded to float32, is above the border of split i.
    """
    splits = told.splits or []
    depth = len(splits)
    if depth > _DEEPEST or len(told.leaf_values) != targets << depth or len(told.leaf_weights) != 1 << depth:
        raise Damaged("a tree does not have a leaf for each way through it", where=_WHERE, fix="Save it again")
    if any(one.split_type != "FloatFeature" for one in splits):
        raise Invalid("there is no exact exporter for splits by other than numbers", where=_WHERE)
    features = np.array([one.float_feature_index for one in splits], dtype=np.int64)
    if not ((features >= 0) & (features < len(as_high))).all():
        raise Damaged("a tree splits by a column that is not there", where=_WHERE, fix="Save it again")
    borders = float32_splits(np.array([one.border for one in splits], dtype=np.float64))
    # Nodes by level, from the root; the last split is asked first, so that leaves stand in the order of their numbers.
    inner, size = (1 << depth) - 1, (2 << depth) - 1
    nodes = np.arange(size)
    asked = depth - 1 - (np.frexp(nodes[:inner] + 1)[1] - 1)
    leaves = np.zeros(size, dtype=bool)
    leaves[inner:] = True
    feature, threshold, high = np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size, dtype=bool)
    feature[:inner], threshold[:inner], high[:inner] = features[asked], borders[asked], as_high[features[asked]]
    values = np.array(told.leaf_values).reshape(-1, targets)
    cover = np.concatenate([np.zeros(inner), told.leaf_weights])
    return [
        Tree(
            left=np.where(leaves, -1, 2 * nodes + 1),
            right=np.where(leaves, -1, 2 * nodes + 2),
            feature=feature,
            threshold=threshold,
            missing_left=~high,
            value=np.concatenate([np.zeros(inner), values[:, target]]),
            cover=cover,
        )
        for target in range(targets)
    ]
