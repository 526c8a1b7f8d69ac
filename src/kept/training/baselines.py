"""The simple baseline that every model is compared with: a linear model on plainly prepared columns."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kept.packaging.encoding import TableEncoder
from kept.packaging.frames import encode_frame
from kept.plan.specs import Task

_MOST_ROWS = 20_000


def baseline_scores(
    train: pl.DataFrame,
    labels: NDArray[np.float64] | NDArray[np.int64],
    test: pl.DataFrame,
    encoder: TableEncoder,
    *,
    task: Task,
    seed: int,
) -> NDArray[np.float64]:
    """Scores of the test rows by a linear model fitted on the training rows (at most 20,000 of them, drawn by the seed).

    Numbers are imputed by their median and standardised, categories one-hot encoded; logistic regression for
    classes, ridge for values.
    """
    matrix, wanted = encode_frame(train, encoder), encode_frame(test, encoder)
    if len(matrix) > _MOST_ROWS:
        drawn = np.random.default_rng(seed).choice(len(matrix), _MOST_ROWS, replace=False)
        matrix, labels = matrix[drawn], labels[drawn]
    model = _pipeline(encoder, task).fit(matrix, labels)
    if task == "regression":
        return np.asarray(model.predict(wanted), dtype=np.float64)
    scores = np.asarray(model.predict_proba(wanted), dtype=np.float64)
    return scores[:, 1] if task == "binary" else scores


def _pipeline(encoder: TableEncoder, task: Task) -> Pipeline:
    categorical = encoder.categorical
    numeric = [place for place in range(len(encoder.columns)) if place not in categorical]
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    names = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1.0), OneHotEncoder(handle_unknown="ignore", min_frequency=10)
    )
    prepared = ColumnTransformer([("numbers", numbers, numeric), ("names", names, categorical)])
    return make_pipeline(prepared, Ridge() if task == "regression" else LogisticRegression(max_iter=300, tol=1e-3))
