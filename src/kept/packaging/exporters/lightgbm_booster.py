"""Boosters of LightGBM, read from their own text form: what they are made of, and LightGBM itself to hold an export against."""

import importlib
import re
import warnings
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid
from kept.packaging.exporters.booster import Booster
from kept.packaging.exporters.ensemble import Tree
from kept.packaging.sound_trees import is_tree

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_ZERO, _NAN = 1, 2
# LightGBM takes what is no further from zero than this for zero.
_NEAR_ZERO = float(np.float32(1e-35))
_WHOLE = re.compile(r"[-0-9 ]*")
_IDENTITY = {"regression", "huber", "fair", "quantile", "mape", "regression_l1"}
_EXPONENTIAL = {"poisson", "gamma", "tweedie"}


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What makes answers of the sums of leaves."""

    link: str
    """identity, exp, sigmoid or softmax."""
    scale: float = 1.0
    """Of the sum, within the sigmoid."""


class LightGbmModel(Booster):
    """A booster behind the face of a scikit-learn estimator. LightGBM answers; it must be installed.

    Args:
        text: what `Booster.save_model` writes.
        names: the columns by their own names, in order; LightGBM keeps them without their spaces. None for its own.
        classes: names of the classes, in the order of LightGBM's numbers; none for a regression.

    Raises:
        Damaged: the text is not such a file.
        Invalid: LightGBM is not installed here, or the model is of a kind that does not answer the question.
    """

    def __init__(self, text: str, *, names: tuple[str, ...] = (), classes: tuple[Any, ...] = ()) -> None:
        try:
            self._header, blocks, plain = _split(text)
            known = tuple(self._header["feature_names"].split())
            self.per_iteration = int(self._header["num_tree_per_iteration"])
            if int(self._header["num_class"]) != self.per_iteration or not 0 < self.per_iteration <= max(
                1, len(blocks)
            ):
                raise ValueError("it does not have a tree for each class")
            self.trees = [_tree(block, len(known)) for block in blocks]
        except (KeyError, ValueError, IndexError) as error:
            what = f"this is not a booster of LightGBM: {type(error).__name__}: {error}"
            raise Damaged(what, where="LightGBM file", fix="Log the model again") from error
        if names and [name.replace(" ", "_") for name in names] != list(known) and not _is_numbered(known):
            what = f"it was trained on the columns {', '.join(known)}, its signature names {', '.join(names)}"
            raise Invalid(what, where="LightGBM file", fix="Log it with the signature of its training frame")
        self.feature_names_in_ = names or (() if _is_numbered(known) else known)
        self.n_features_in_ = len(known)
        self.objective = _objective(self._header)
        if classes and len(classes) != max(2, self.per_iteration):
            raise Invalid(f"it answers {max(2, self.per_iteration)} classes, not {len(classes)}", where="LightGBM file")
        if classes:
            self.classes_ = np.array(classes)
        self._booster = _read_by_library(plain, len(self.trees))

    def _ask(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(self._booster.predict(features, num_threads=1), dtype=np.float64)


def _library() -> Any:
    try:
        return importlib.import_module("lightgbm")
    except (ImportError, OSError) as error:
        what = f"LightGBM is not installed here, and without it nobody can check the answers ({error})"
        raise Invalid(what, where="LightGBM file", fix="Install it: pip install 'kept[lightgbm]'") from error


def _read_by_library(plain: str, trees: int) -> Any:
    """LightGBM's own reading, of nothing but what was found whole here: a broken file takes its process down with it."""
    library = _library()
    try:
        booster = library.Booster(model_str=plain)
    except library.basic.LightGBMError as error:
        raise Damaged(
            f"LightGBM does not read it: {error}", where="LightGBM file", fix="Log the model again"
        ) from error
    if booster.num_trees() != trees:
        raise Damaged(f"LightGBM reads {booster.num_trees()} of its {trees} trees", where="LightGBM file")
    return booster


def _split(text: str) -> tuple[dict[str, str], list[dict[str, str]], str]:
    """The header and the trees, each as fields by name; and the text of nothing else.

    It is without the sizes of the trees: LightGBM would go where they lead.
    """
    body = text.replace("\r\n", "\n").split("\nend of trees", 1)[0]
    head, *blocks = body.split("\nTree=")
    if not head.startswith("tree\n") or "\r" in body or "\0" in body:
        raise ValueError("it does not begin as one")
    plain = re.sub(r"(?m)^tree_sizes=.*\n?", "", body)
    return _fields(head), [_fields(block) for block in blocks], f"{plain}\n\nend of trees\n\n"


def _fields(block: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in block.split("\n"):
        name, equals, value = line.partition("=")
        if name in fields and name:
            raise ValueError(f"it says {name!r} twice")
        # A word alone is a switch that is on.
        fields[name] = value if equals else "1"
    return fields


def _objective(header: dict[str, str]) -> Objective:
    words = header.get("objective", "").split()
    name, settings = (words[0] if words else "none"), dict(word.partition(":")[::2] for word in words[1:])
    if "average_output" in header:
        raise Invalid("a random forest of LightGBM has no exact exporter", where="LightGBM file")
    if name == "binary":
        return Objective(link="sigmoid", scale=float(settings["sigmoid"]))
    if name == "multiclass":
        return Objective(link="softmax")
    if name in _IDENTITY and "sqrt" not in settings:
        return Objective(link="identity")
    if name in _EXPONENTIAL:
        return Objective(link="exp")
    raise Invalid(
        f"there is no exact exporter for the objective {header.get('objective', 'none')!r}", where="LightGBM file"
    )


def _tree(block: dict[str, str], width: int) -> Tree:
    if block.get("is_linear", "0") != "0":
        raise Invalid("there is no exact exporter for linear trees", where="LightGBM file")
    leaves = np.array(block["leaf_value"].split(), dtype=np.float64)
    inner = len(leaves) - 1
    # A tree of one leaf tells no counts.
    covers = np.array(block.get("leaf_count", "").split() or np.ones(inner + 1), dtype=np.float64)
    left, right = (_children(block[side], inner) for side in ("left_child", "right_child"))
    kinds = _numbers(block["decision_type"])
    thresholds = np.array(block["threshold"].split(), dtype=np.float64)
    features = _numbers(block["split_feature"])
    if (kinds & _CATEGORICAL).any():
        fix = "Encode categories as numbers before it, with categorical_feature=''"
        raise Invalid("there is no exact exporter for splits by category", where="LightGBM file", fix=fix)
    missing = kinds >> 2 & 3
    if (missing == _ZERO).any():
        raise Invalid("with zero_as_missing it takes zeros for missing, which no exporter does", where="LightGBM file")
    if not len(features) == len(thresholds) == len(left) == len(right) == len(covers) - 1 == inner:
        raise ValueError("a tree does not have a split for each pair of leaves")
    if not ((features >= 0) & (features < width)).all():
        raise ValueError("a tree splits by a column that is not there")
    thresholds = np.where((thresholds >= 0) & (thresholds < _NEAR_ZERO), _NEAR_ZERO, thresholds)
    below = np.nextafter(-_NEAR_ZERO, -np.inf)
    thresholds = np.where((thresholds < 0) & (thresholds >= -_NEAR_ZERO), below, thresholds)
    # Where training saw nothing missing, it is as if a zero stood there.
    missing_left = np.where(missing == _NAN, (kinds & _DEFAULT_LEFT) > 0, thresholds >= 0)
    size = inner + len(leaves)
    at_leaf = np.full(size, -1)
    left, right = _filled(at_leaf, left), _filled(at_leaf, right)
    if not is_tree(left, right):
        raise ValueError("a tree leads to a node that is not there, or to one twice")
    return Tree(
        left=left,
        right=right,
        feature=_filled(np.zeros(size, dtype=np.int64), features),
        threshold=np.concatenate([thresholds, np.zeros(len(leaves))]),
        missing_left=np.concatenate([missing_left, np.zeros(len(leaves), dtype=bool)]),
        value=np.concatenate([np.zeros(inner), leaves]),
        cover=np.concatenate([np.zeros(inner), covers]),
    )


def _children(words: str, inner: int) -> NDArray[np.int64]:
    """Places of the children: inner nodes first, then the leaves, which the file counts as -1, -2, ..."""
    found = _numbers(words)
    return np.where(found < 0, inner + ~found, found)


def _numbers(words: str) -> NDArray[np.int64]:
    """Whole numbers, in no other digits than LightGBM reads."""
    if not _WHOLE.fullmatch(words):
        raise ValueError("a whole number is none")
    return np.array(words.split(), dtype=np.int64)


def _filled(whole: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    whole = whole.copy()
    whole[: len(first)] = first
    return whole


def _is_numbered(names: tuple[str, ...]) -> bool:
    return names == tuple(f"Column_{place}" for place in range(len(names)))
