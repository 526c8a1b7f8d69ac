"""Building and fitting an estimator from hyperparameters."""

from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from kept.core.errors import Invalid
from kept.packaging.encoding import TableEncoder
from kept.packaging.fitted import boosting_library, last_step
from kept.packaging.frames import encode_frame
from kept.plan.specs import ModelSpec

Input = Literal["matrix", "table"]


def make_estimator(spec: ModelSpec, parameters: dict[str, Any], encoder: TableEncoder, seed: int) -> BaseEstimator:
    """The project's estimator for these hyperparameters, with the seed and the categorical columns set."""
    try:
        estimator = spec.function(**parameters)
    except MemoryError:
        raise
    except Exception as error:
        where = f"model {spec.name}"
        raise Invalid(f"it raised {type(error).__name__}: {error}", where=where, fix="Mend the function") from error
    if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
        fix = "Return one with fit and predict, for example HistGradientBoostingClassifier()"
        raise Invalid(f"it gives a {type(estimator).__name__}, not an estimator", where=f"model {spec.name}", fix=fix)
    settings = estimator.get_params(deep=False)
    if "random_state" in settings and settings["random_state"] is None:
        estimator.set_params(random_state=seed)
    # "from_dtype" is the default that cannot see categories in a matrix of numbers.
    if isinstance(settings.get("categorical_features"), str) and encoder.categorical:
        estimator.set_params(categorical_features=encoder.categorical)
    library = boosting_library(estimator)
    if library == "catboost":
        last_step(estimator).set_params(allow_writing_files=False)
    if library is not None:
        _give_numbers(estimator, encoder, where=f"model {spec.name}")
    return estimator


def input_of(estimator: BaseEstimator) -> Input:
    """Whether it takes the encoded matrix, or chooses columns of a table by name itself."""
    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    return "table" if isinstance(first, ColumnTransformer) else "matrix"


def fit_estimator(
    estimator: BaseEstimator, frame: pl.DataFrame, labels: NDArray[Any], encoder: TableEncoder, *, where: str
) -> BaseEstimator:
    """The estimator, fitted on the rows."""
    rows: Any = encode_frame(frame, encoder) if input_of(estimator) == "matrix" else frame.select(encoder.names)
    if boosting_library(estimator) == "xgboost" and hasattr(estimator, "predict_proba"):
        # It takes classes by number alone.
        labels = np.unique(labels, return_inverse=True)[1]
    try:
        estimator.fit(rows, labels)
    except ValueError as error:
        fix = "Put SimpleImputer before it in a Pipeline" if "NaN" in str(error) else "Mend the model's function"
        raise Invalid(str(error).splitlines()[0], where=where, fix=fix) from error
    return estimator


def predict_scores(estimator: BaseEstimator, frame: pl.DataFrame, encoder: TableEncoder) -> NDArray[np.float64]:
    """Probability of the second class (binary), probabilities per class (multiclass) or values (regression)."""
    rows: Any = encode_frame(frame, encoder) if input_of(estimator) == "matrix" else frame.select(encoder.names)
    if not hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict(rows), dtype=np.float64)
    scores = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    return scores[:, 1] if scores.shape[1] == 2 else scores


def _give_numbers(estimator: Any, encoder: TableEncoder, *, where: str) -> None:
    """Sees to it that a booster is given numbers, and that a zero is one to it: in a sparse matrix it may be missing."""
    if input_of(estimator) == "table":
        estimator.steps[0][1].set_params(sparse_threshold=0)
    elif encoder.categorical:
        names = ", ".join(encoder.names[place] for place in encoder.categorical)
        fix = "Return make_pipeline(ColumnTransformer([... OneHotEncoder() ...], remainder='passthrough'), it)"
        raise Invalid(f"a booster takes numbers, and there are texts in {names}", where=where, fix=fix)
