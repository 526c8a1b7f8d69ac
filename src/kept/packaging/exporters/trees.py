"""scikit-learn's own trees (`sklearn.tree`), alone, in forests and in gradient boosting. They compare in float32."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from kept.core.errors import Invalid
from kept.packaging.exporters.ensemble import Ensemble, Tree
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.links import apply_link

_TREES = (DecisionTreeClassifier, ExtraTreeClassifier)


def export_tree(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of one decision tree."""
    return _mean([model], model, graph, features)


def export_forest(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of a random forest or of extremely randomised trees: the mean over the trees."""
    return _mean(model.estimators_, model, graph, features)


def export_boosting(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of GradientBoostingClassifier and GradientBoostingRegressor."""
    raw = boosting_scores(model, graph, features)
    # A regressor answers the raw score, whatever its loss.
    return apply_link(model._loss.link, graph, raw) if hasattr(model, "classes_") else raw  # noqa: SLF001


def boosting_scores(model: Any, graph: Graph, features: Tensor) -> str:
    """The sums of its trees."""
    ensemble = Ensemble()
    baseline = _baseline(model)
    for target, value in enumerate(baseline):
        ensemble.add_constant(float(value), target)
    for stage in model.estimators_:
        for target, estimator in enumerate(stage):
            values = model.learning_rate * estimator.tree_.value[:, 0, 0]
            ensemble.add(_tree(estimator.tree_, values), target)
    return ensemble.write(graph, features, len(baseline))


def export_ada_boost(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of AdaBoostClassifier over trees: each adds its weight for the class that it tells, and takes from the others.

    Zhu, Zou, Rosset, Hastie, "Multi-class AdaBoost" (2009), equation 15.
    """
    classes = int(model.n_classes_)
    ensemble = Ensemble()
    weights = model.estimator_weights_ / model.estimator_weights_.sum()
    for estimator, weight in zip(model.estimators_, weights, strict=False):
        if type(estimator) not in _TREES or not np.array_equal(estimator.classes_, model.classes_):
            raise Invalid("it boosts others than trees that know all classes")
        told = estimator.tree_.value[:, 0, :].argmax(axis=1)
        for target in range(classes):
            if classes > 2 or target == 1:
                values = np.where(told == target, weight, -weight / (classes - 1))
                ensemble.add(_tree(estimator.tree_, values), target if classes > 2 else 0)
    raw = ensemble.write(graph, features, classes if classes > 2 else 1)
    if classes == 2:
        # Of two classes the score of the second is the negative one of the first, and they are halved.
        return graph.node("Sigmoid", graph.node("Mul", raw, graph.constant(2.0)))
    return graph.node("Softmax", graph.node("Div", raw, graph.constant(float(classes - 1))), axis=1)


def float32_splits(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each threshold t the largest double x whose nearest float32 is at most t.

    So `x <= split` in float64 decides as scikit-learn does, which rounds x to float32 (nearest, ties to even) and
    compares that with t in float64.
    """
    # At either end of float32 the neighbour is infinite, and that is meant.
    with np.errstate(over="ignore"):
        low = thresholds.astype(np.float32)
        low = np.where(low > thresholds, np.nextafter(low, np.float32(-np.inf)), low)
        high = np.nextafter(low, np.float32(np.inf))
    middle = (low.astype(np.float64) + high.astype(np.float64)) / 2
    tie_is_low = (low.view(np.uint32) & 1) == 0
    return np.where(tie_is_low, middle, np.nextafter(middle, -np.inf))


def _mean(trees: list[Any], model: Any, graph: Graph, features: Tensor) -> str:
    if model.n_outputs_ != 1:
        raise Invalid(f"it answers {model.n_outputs_} targets")
    classes = int(model.n_classes_) if hasattr(model, "classes_") else 1
    # Of two classes the probability of the second is the answer.
    targets = [1] if classes == 2 else list(range(classes))
    ensemble = Ensemble()
    for estimator in trees:
        for target, column in enumerate(targets):
            ensemble.add(_tree(estimator.tree_, estimator.tree_.value[:, 0, column]), target)
    total = ensemble.write(graph, features, len(targets))
    return total if len(trees) == 1 else graph.node("Div", total, graph.constant(float(len(trees))))


def _tree(tree: Any, values: NDArray[np.float64]) -> Tree:
    left = tree.children_left.astype(np.int64)
    return Tree(
        left=left,
        right=tree.children_right.astype(np.int64),
        feature=np.where(left < 0, 0, tree.feature.astype(np.int64)),
        threshold=float32_splits(tree.threshold.astype(np.float64)),
        missing_left=tree.missing_go_to_left.astype(bool),
        value=values.astype(np.float64),
        cover=tree.weighted_n_node_samples.astype(np.float64),
    )


def _baseline(model: Any) -> NDArray[np.float64]:
    init = model.init_
    constant = isinstance(init, str) or type(init).__name__ == "DummyRegressor"
    if not constant and not (
        type(init).__name__ == "DummyClassifier" and init.strategy in {"prior", "most_frequent", "constant"}
    ):
        raise Invalid(f"it starts from another model ({type(init).__name__})")
    # The first score is the same for every row.
    first: NDArray[np.float64] = model._raw_predict_init(np.zeros((1, model.n_features_in_)))[0]  # noqa: SLF001
    return first
