"""Histogram gradient boosting: float64 thresholds, native missing values, categories as sets."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.exporters.ensemble import Ensemble, Members, Tree
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.links import apply_link

# ONNX Runtime reads set members as 32-bit integers.
_LARGEST_MEMBER = 2**31 - 1


def export_hist_boosting(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of HistGradientBoostingClassifier and HistGradientBoostingRegressor."""
    raw = hist_boosting_scores(model, graph, features)
    return apply_link(model._loss.link, graph, raw)  # noqa: SLF001 - the estimator has no public face for its trees


def hist_boosting_scores(model: Any, graph: Graph, features: Tensor) -> str:
    """The sums of its trees.

    The estimator puts its categorical columns first and replaces their values by their place in its own
    dictionary before its trees see them; here the trees get the original columns and the original values.
    """
    order, dictionaries = _columns(model)
    if any(int(features.origin.columns[place]) not in graph.coded for place in dictionaries):
        features = _whole_numbers(graph, features, sorted(dictionaries))
    ensemble = Ensemble()
    baseline = np.ravel(model._baseline_prediction)  # noqa: SLF001 - the estimator has no public face for its trees
    for target, value in enumerate(baseline):
        ensemble.add_constant(float(value), target)
    for stage in model._predictors:  # noqa: SLF001
        for target, predictor in enumerate(stage):
            ensemble.add(_tree(predictor, order, dictionaries), target)
    return ensemble.write(graph, features, len(baseline))


def _columns(model: Any) -> tuple[NDArray[np.int64], dict[int, tuple[int, ...]]]:
    """The original column of each column that the trees see, and the dictionaries of the categorical ones."""
    if model.is_categorical_ is None:
        return np.arange(model.n_features_in_), {}
    categorical = np.flatnonzero(model.is_categorical_)
    order = np.concatenate([categorical, np.flatnonzero(~model.is_categorical_)])
    encoder = model._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
    return order, {
        int(place): _dictionary(values) for place, values in zip(categorical, encoder.categories_, strict=True)
    }


def _dictionary(values: NDArray[Any]) -> tuple[int, ...]:
    if values.dtype.kind not in "fiu":
        raise Invalid("it was trained on a table with text categories; encode them before the estimator")
    known = values[~np.isnan(values.astype(np.float64))]
    if not all(float(value).is_integer() and 0 <= value <= _LARGEST_MEMBER for value in known):
        raise Invalid("its categories are not whole numbers from 0 to 2147483647")
    return tuple(int(value) for value in known)


def _whole_numbers(graph: Graph, features: Tensor, places: list[int]) -> Tensor:
    """The features with NaN for fractions in categorical columns: unknown to scikit-learn, truncated by ONNX Runtime."""
    chosen = np.zeros(features.width, dtype=bool)
    chosen[places] = True
    whole = graph.node("Equal", features.name, graph.node("Floor", features.name))
    kept = graph.node("Or", whole, graph.constant(~chosen, np.bool_))
    return Tensor(name=graph.node("Where", kept, features.name, graph.constant(np.nan)), origin=features.origin)


def _tree(predictor: Any, order: NDArray[np.int64], dictionaries: dict[int, tuple[int, ...]]) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    feature = np.where(leaf, 0, order[np.where(leaf, 0, nodes["feature_idx"])])
    members = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf):
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        known = dictionaries[int(feature[node])]
        goes_left = [bool(int(bits[code // 32]) >> (code % 32) & 1) for code in range(len(known))]
        members[int(node)] = Members(
            left=tuple(value for value, left in zip(known, goes_left, strict=True) if left),
            right=tuple(value for value, left in zip(known, goes_left, strict=True) if not left),
        )
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature=feature,
        threshold=nodes["num_threshold"].astype(np.float64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"].astype(np.float64),
        cover=nodes["count"].astype(np.float64),
        members=members,
    )
