"""Which estimator is exported by what. Only exact classes: a subclass may answer differently."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    Lars,
    Lasso,
    LassoCV,
    LassoLars,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from kept.core.errors import Invalid
from kept.packaging.exporters.calibrating import export_calibrated
from kept.packaging.exporters.catboost import export_catboost
from kept.packaging.exporters.catboost_booster import CatBoostModel
from kept.packaging.exporters.columns import export_column_transformer, flatten
from kept.packaging.exporters.combining import export_bagging, export_stacking, export_voting
from kept.packaging.exporters.conversion import convert_predictor, convert_transformer
from kept.packaging.exporters.encoders import export_one_hot, export_ordinal, export_target_encoder
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.hist_boosting import export_hist_boosting, hist_boosting_scores
from kept.packaging.exporters.imputing import export_simple_imputer
from kept.packaging.exporters.lightgbm import export_lightgbm
from kept.packaging.exporters.lightgbm_booster import LightGbmModel
from kept.packaging.exporters.linear import (
    export_linear_discriminant,
    export_linear_regression,
    export_log_linear_regression,
    export_logistic_regression,
    export_sgd_classifier,
    linear_scores,
)
from kept.packaging.exporters.reshaping import (
    export_bins,
    export_function,
    export_pca,
    export_polynomials,
    export_selection,
    export_union,
)
from kept.packaging.exporters.scaling import (
    export_max_abs_scaler,
    export_min_max_scaler,
    export_robust_scaler,
    export_standard_scaler,
)
from kept.packaging.exporters.splines import export_splines
from kept.packaging.exporters.trees import (
    boosting_scores,
    export_ada_boost,
    export_boosting,
    export_forest,
    export_tree,
)
from kept.packaging.exporters.xgboost import export_xgboost
from kept.packaging.exporters.xgboost_booster import XgBoostModel

_SELECTIONS: tuple[type, ...] = (
    GenericUnivariateSelect, RFE, RFECV, SelectFdr, SelectFpr, SelectFromModel, SelectFwe, SelectKBest, SelectPercentile,
    SequentialFeatureSelector, VarianceThreshold,
)  # fmt: skip

PREDICTORS: dict[type, Callable[[Any, Graph, Tensor], str]] = {
    CatBoostModel: export_catboost,
    LightGbmModel: export_lightgbm,
    XgBoostModel: export_xgboost,
    HistGradientBoostingClassifier: export_hist_boosting,
    HistGradientBoostingRegressor: export_hist_boosting,
    RandomForestClassifier: export_forest,
    RandomForestRegressor: export_forest,
    ExtraTreesClassifier: export_forest,
    ExtraTreesRegressor: export_forest,
    DecisionTreeClassifier: export_tree,
    DecisionTreeRegressor: export_tree,
    ExtraTreeClassifier: export_tree,
    ExtraTreeRegressor: export_tree,
    GradientBoostingClassifier: export_boosting,
    GradientBoostingRegressor: export_boosting,
    LogisticRegression: export_logistic_regression,
    LinearRegression: export_linear_regression,
    Ridge: export_linear_regression,
    Lasso: export_linear_regression,
    ElasticNet: export_linear_regression,
    RidgeCV: export_linear_regression,
    LassoCV: export_linear_regression,
    ElasticNetCV: export_linear_regression,
    LassoLars: export_linear_regression,
    Lars: export_linear_regression,
    BayesianRidge: export_linear_regression,
    ARDRegression: export_linear_regression,
    HuberRegressor: export_linear_regression,
    QuantileRegressor: export_linear_regression,
    SGDRegressor: export_linear_regression,
    LinearSVR: export_linear_regression,
    PoissonRegressor: export_log_linear_regression,
    GammaRegressor: export_log_linear_regression,
    TweedieRegressor: export_log_linear_regression,
    LogisticRegressionCV: export_logistic_regression,
    LinearDiscriminantAnalysis: export_linear_discriminant,
    SGDClassifier: export_sgd_classifier,
    AdaBoostClassifier: export_ada_boost,
    VotingClassifier: lambda model, graph, features: export_voting(model, graph, features, _predict),
    VotingRegressor: lambda model, graph, features: export_voting(model, graph, features, _predict),
    BaggingClassifier: lambda model, graph, features: export_bagging(model, graph, features, _predict),
    BaggingRegressor: lambda model, graph, features: export_bagging(model, graph, features, _predict),
    StackingClassifier: lambda model, graph, features: export_stacking(model, graph, features, _predict),
    StackingRegressor: lambda model, graph, features: export_stacking(model, graph, features, _predict),
    CalibratedClassifierCV: lambda model, graph, features: export_calibrated(model, graph, features, _score),
}

SCORES: dict[type, Callable[[Any, Graph, Tensor], str]] = {
    HistGradientBoostingClassifier: hist_boosting_scores,
    GradientBoostingClassifier: boosting_scores,
    LogisticRegression: linear_scores,
    LogisticRegressionCV: linear_scores,
    LinearDiscriminantAnalysis: linear_scores,
    LinearSVC: linear_scores,
    Perceptron: linear_scores,
    RidgeClassifier: linear_scores,
    SGDClassifier: linear_scores,
}
"""Exporters of what classifiers answer before it becomes a probability, by `decision_function`."""

TRANSFORMERS: dict[type, Callable[[Any, Graph, Tensor], Tensor]] = {
    StandardScaler: export_standard_scaler,
    MinMaxScaler: export_min_max_scaler,
    MaxAbsScaler: export_max_abs_scaler,
    RobustScaler: export_robust_scaler,
    SimpleImputer: export_simple_imputer,
    OneHotEncoder: export_one_hot,
    OrdinalEncoder: export_ordinal,
    TargetEncoder: export_target_encoder,
    PolynomialFeatures: export_polynomials,
    KBinsDiscretizer: export_bins,
    FunctionTransformer: export_function,
    SplineTransformer: export_splines,
    PCA: export_pca,
    **dict.fromkeys(_SELECTIONS, export_selection),
    FeatureUnion: lambda step, graph, features: export_union(step, graph, features, _transform),
    ColumnTransformer: lambda step, graph, features: export_column_transformer(step, graph, features, _transform),
}


# The exporters read scikit-learn's private attributes, which another release may have changed.
_UNEXPECTED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
_Made = TypeVar("_Made", str, Tensor)


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """An ONNX model, and what a check of it should try.

    Args:
        model: the model's bytes. Input `features`: float64 [rows, columns]. Output `answers`: float64 [rows, k], where k
            is 1 for the probability of the second of two classes and for a value, else the number of classes.
        splits: for each input column the values that decide the way in a tree (to rounding, behind a scaler).
        member_columns: the input columns whose values are looked up in sets.
        inputs: the input column that each column is made of which the trees or weights are given.
        covers: of each leaf, the training rows that came to it, or their weight; None where there are no trees.
        converted: the classes of the parts that skl2onnx converted, and no exporter of ours.
    """

    model: bytes
    splits: dict[int, NDArray[np.float64]]
    member_columns: frozenset[int]
    inputs: tuple[int, ...] = ()
    covers: NDArray[np.float64] | None = None
    converted: tuple[str, ...] = ()


class NotExportable(msgspec.Struct, frozen=True):
    """There is no exact export, and why."""

    reason: str


def export(
    estimator: Any,
    coded: frozenset[int] = frozenset(),
    words: Mapping[int, tuple[str, ...]] | None = None,
    order: Sequence[int] | None = None,
) -> Exported | NotExportable:
    """A fitted estimator as an ONNX model that computes the same numbers in float64.

    What no exporter of ours covers is converted by skl2onnx, where that is installed; then a check has to show that the
    numbers are the same.

    Args:
        estimator: the fitted estimator, or a Pipeline of exportable transformers and an estimator.
        coded: the input columns that hold an encoder's category codes (whole numbers, NaN and infinity, nothing else).
        words: for an estimator that was trained on a table, the texts behind the codes of its columns of text.
        order: the place of each class that is to be answered among the estimator's own; None for its own order.
    """
    try:
        graph = Graph(int(estimator.n_features_in_), coded, words)
        answers = _predict(estimator, graph, graph.input)
        columns = len(estimator.classes_) if hasattr(estimator, "classes_") and len(estimator.classes_) > 2 else 1
        if order is not None and list(order) != sorted(order):
            answers = _reordered(graph, answers, order)
        model = graph.finish(answers, columns)
    except Invalid as refusal:
        return NotExportable(f"{_name(estimator)} cannot be exported exactly: {refusal.what}")
    except _UNEXPECTED as error:
        return NotExportable(_unlike(estimator, error))
    splits = {column: np.unique(np.concatenate(parts)) for column, parts in graph.splits.items()}
    return Exported(
        model=model,
        splits=splits,
        member_columns=frozenset(graph.member_columns),
        inputs=() if graph.inputs is None else tuple(graph.inputs.tolist()),
        covers=graph.covers,
        converted=tuple(graph.converted),
    )


def _reordered(graph: Graph, answers: str, order: Sequence[int]) -> str:
    """Answers with the classes in another order; of two classes there is one column, that of the second."""
    if len(order) == 2:
        return graph.node("Sub", graph.constant(1.0), answers)
    return graph.node("Gather", answers, graph.constant(order, np.int64), axis=1)


def _predict(estimator: Any, graph: Graph, features: Tensor) -> str:
    """Answers of an estimator, by our own exporter, or else converted."""
    *steps, last = flatten(estimator)
    for step in steps:
        features = _transform_one(step, graph, features)
    try:
        answers: str = _find(PREDICTORS, last)(last, graph, features)
    except (Invalid, *_UNEXPECTED) as refusal:
        graph.note_no_parts()
        return _else(convert_predictor, last, graph, features, refusal)
    return answers


def _score(estimator: Any, graph: Graph, features: Tensor) -> str:
    """What a calibration is given: the decision function where there is one, else the probabilities."""
    if not hasattr(estimator, "decision_function"):
        return _predict(estimator, graph, features)
    *steps, last = flatten(estimator)
    for step in steps:
        features = _transform_one(step, graph, features)
    if type(last) not in SCORES:
        raise Invalid(f"there is no exact exporter for the scores of {_name(last)}")
    return SCORES[type(last)](last, graph, features)


def _transform(step: Any, graph: Graph, features: Tensor) -> Tensor:
    for one in flatten(step):
        features = _transform_one(one, graph, features)
    return features


def _transform_one(step: Any, graph: Graph, features: Tensor) -> Tensor:
    try:
        made: Tensor = _find(TRANSFORMERS, step)(step, graph, features)
    except (Invalid, *_UNEXPECTED) as refusal:
        return _else(convert_transformer, step, graph, features, refusal)
    return made


def _else(
    convert: Callable[[Any, Graph, Tensor], _Made], step: Any, graph: Graph, features: Tensor, refusal: Exception
) -> _Made:
    """What was refused, converted. Raises the refusal again, with what stood against a conversion."""
    reason = refusal.what if isinstance(refusal, Invalid) else _unlike(step, refusal)
    try:
        return convert(step, graph, features)
    except Invalid as other:
        raise Invalid(f"{reason}; {other.what}") from other


def _find(registry: dict[type, Callable[..., Any]], step: Any) -> Callable[..., Any]:
    if type(step) not in registry:
        raise Invalid(f"there is no exact exporter for {_name(step)}")
    return registry[type(step)]


def _unlike(step: Any, error: Exception) -> str:
    return f"{_name(step)} does not look as expected: {type(error).__name__}: {error}"


def _name(estimator: Any) -> str:
    return type(estimator).__name__
