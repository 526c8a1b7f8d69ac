"""Boosters of XGBoost, read from their own JSON form: what they are made of, and XGBoost itself to hold an export against."""

import importlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid
from kept.packaging.exporters.booster import Booster
from kept.packaging.exporters.ensemble import Tree
from kept.packaging.exporters.trees import float32_splits
from kept.packaging.sound_trees import is_tree
from kept.packaging.ubjson import read_ubjson

_WHERE = "XGBoost file"
# More than any model has: XGBoost makes room for them, whether there are or not.
_MOST_COLUMNS, _MOST_CLASSES = 1_000_000, 10_000
_LINKS = {
    "binary:logistic": "sigmoid",
    "multi:softprob": "softmax",
    "reg:squarederror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
}


class XgBoostModel(Booster):
    """A booster behind the face of a scikit-learn estimator. XGBoost answers; it must be installed.

    XGBoost adds its leaves up in float32: an export that adds them in float64 differs from it in the seventh digit.

    Args:
        data: what `Booster.save_model` writes, as JSON or UBJSON.
        names: names of the columns, in order, where the file has none.
        classes: names of the classes, in the order of XGBoost's numbers; none for a regression.
        best: whether only the rounds up to the best one answer, as in XGBoost's scikit-learn face.

    Raises:
        Damaged: it is not such a file.
        Invalid: XGBoost is not installed here, or there is no exporter for a model of this kind.
    """

    tolerance = 1e-6

    def __init__(
        self, data: bytes, *, names: tuple[str, ...] = (), classes: tuple[Any, ...] = (), best: bool = False
    ) -> None:
        try:
            whole = msgspec.json.decode(data) if data[1:2] in {b'"', b"\n", b" "} else read_ubjson(data)
            told = whole["learner"]
            self._read(told, best=best)
            # XGBoost takes its process down with it when a file is broken: it is given what was found whole here, as it
            # was understood here, and not the file, which it may understand otherwise.
            plain = msgspec.json.encode(whole)
            self._library = _library()
            self._booster = self._library.Booster(model_file=bytearray(plain))
        except (KeyError, ValueError, IndexError, TypeError, RecursionError, msgspec.MsgspecError) as error:
            what = f"this is not a booster of XGBoost: {type(error).__name__}: {error}"
            raise Damaged(what, where=_WHERE, fix="Log the model again") from error
        known = tuple(told["feature_names"])
        if known and names and known != names:
            what = f"it was trained on the columns {', '.join(known)}, its signature names {', '.join(names)}"
            raise Invalid(what, where=_WHERE, fix="Log it with the signature of its training frame")
        self.feature_names_in_ = known or names
        if classes and len(classes) != max(2, self.targets):
            raise Invalid(f"it answers {max(2, self.targets)} classes, not {len(classes)}", where=_WHERE)
        if classes:
            self.classes_ = np.array(classes)

    def _ask(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = self._library.DMatrix(features, nthread=1)
        rounds = (0, self._rounds)
        found = self._booster.predict(rows, iteration_range=rounds, validate_features=False)
        return np.asarray(found, dtype=np.float64)

    def _read(self, told: dict[str, Any], *, best: bool) -> None:
        name, booster = told["objective"]["name"], told["gradient_booster"]
        if name not in _LINKS:
            raise Invalid(f"there is no exact exporter for the objective {name!r}", where=_WHERE)
        if booster["name"] != "gbtree":
            raise Invalid(f"there is no exact exporter for a booster of the kind {booster['name']!r}", where=_WHERE)
        self.link = _LINKS[name]
        parameters = told["learner_model_param"]
        if int(parameters["num_target"]) > 1:
            raise Invalid(f"it answers {parameters['num_target']} targets", where=_WHERE)
        self.targets = max(1, int(parameters["num_class"]))
        self.n_features_in_ = int(parameters["num_feature"])
        if self.targets > _MOST_CLASSES or not 0 <= self.n_features_in_ <= _MOST_COLUMNS:
            raise ValueError("it has more classes or columns than a model has")
        self.base = _margins(parameters["base_score"], self.link, self.targets)
        ends, trees = booster["model"]["iteration_indptr"], booster["model"]["trees"]
        chosen = told["attributes"].get("best_iteration") if best else None
        self._rounds = len(ends) - 1 if chosen is None else int(chosen) + 1
        belonging = [int(one) for one in booster["model"]["tree_info"]]
        if ends != sorted(ends) or ends[:1] != [0] or ends[-1] != len(trees) or len(belonging) != len(trees):
            raise ValueError("it does not hold the trees that it names")
        if not 0 <= self._rounds < len(ends) or not all(0 <= one < self.targets for one in belonging):
            raise ValueError("a tree is of a round or a class that is not there")
        # XGBoost goes through all of them; those behind the best round are held against the rest, too, and left.
        read = [(_tree(one, self.n_features_in_), target) for one, target in zip(trees, belonging, strict=True)]
        self.trees = read[: ends[self._rounds]]


def _library() -> Any:
    try:
        return importlib.import_module("xgboost")
    except (ImportError, OSError) as error:
        what = f"XGBoost is not installed here, and without it nobody can check the answers ({error})"
        raise Invalid(what, where=_WHERE, fix="Install it: pip install 'kept[xgboost]'") from error


def _margins(text: str, link: str, targets: int) -> NDArray[np.float64]:
    """What every row's sum begins with, for each target; the file has it on the side of the answers."""
    found = np.array(text.strip("[]").split(","), dtype=np.float32).astype(np.float64)
    if link == "sigmoid":
        found = -np.log(1 / found - 1)
    elif link == "exp":
        found = np.log(found)
    return np.broadcast_to(found, targets).copy()


def _tree(told: dict[str, Any], width: int) -> Tree:
    if any(told["split_type"]):
        fix = "Encode categories as numbers before it"
        raise Invalid("there is no exact exporter for splits by category", where=_WHERE, fix=fix)
    if int(told["tree_param"]["size_leaf_vector"]) > 1:
        raise Invalid("there is no exact exporter for leaves of several targets", where=_WHERE)
    left, right = (np.array(told[side], dtype=np.int64) for side in ("left_children", "right_children"))
    values = np.array(told["split_conditions"], dtype=np.float32)
    leaf = left < 0
    size = len(values)
    features = np.where(leaf, 0, np.array(told["split_indices"], dtype=np.int64))
    lengths = {len(told[name]) for name in ("right_children", "default_left", "sum_hessian")}
    if len(left) != size or lengths != {size} or not is_tree(left, right):
        raise ValueError("a tree leads to a node that is not there")
    if not ((features >= 0) & (features < max(1, width))).all():
        raise ValueError("a tree splits by a column that is not there")
    # A row goes left where its value, rounded to float32, is below the threshold.
    splits = float32_splits(np.nextafter(values, np.float32(-np.inf)).astype(np.float64))
    return Tree(
        left=left,
        right=right,
        feature=features,
        threshold=np.where(leaf, 0.0, splits),
        missing_left=np.array(told["default_left"], dtype=bool),
        value=values.astype(np.float64),
        cover=np.array(told["sum_hessian"], dtype=np.float64),
    )
