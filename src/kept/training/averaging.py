"""The mean of several fitted models as one."""

from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.preprocessing import LabelEncoder


def mean_of(estimators: Sequence[BaseEstimator], weights: Sequence[float]) -> BaseEstimator:
    """The weighted mean of what fitted models of the same classes answer (their probabilities), or of their values."""
    named = [(f"model_{place}", one) for place, one in enumerate(estimators)]
    classes: Any = getattr(estimators[0], "classes_", None)
    if classes is None:
        mean: Any = VotingRegressor(named, weights=list(weights))
    else:
        mean = VotingClassifier(named, voting="soft", weights=list(weights))
        mean.le_, mean.classes_ = LabelEncoder().fit(classes), classes
    # Each was fitted on rows of its own, which no `fit` of the whole could give them.
    mean.estimators_ = list(estimators)
    found: BaseEstimator = mean
    return found
