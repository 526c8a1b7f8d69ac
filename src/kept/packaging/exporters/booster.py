"""What boosters of other libraries have in common: each answers behind the face of a fitted scikit-learn estimator."""

from abc import abstractmethod
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from kept.core.errors import Invalid


class Booster(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """A booster that was read from its library's own form. The library answers; it can end a scikit-learn `Pipeline`."""

    def fit(self, *_: Any) -> NoReturn:
        """Refused: it has been trained."""
        raise Invalid("it was read from a file to answer, not to be trained", where=type(self).__name__)

    def __sklearn_is_fitted__(self) -> bool:
        """Always."""
        return True

    def predict(self, features: Any) -> NDArray[np.float64]:
        """Its values, or its probabilities as the library gives them."""
        return self._ask(features)

    def predict_proba(self, features: Any) -> NDArray[np.float64]:
        """A probability for each class."""
        found = self._ask(features)
        return found if found.ndim == 2 else np.column_stack([1 - found, found])

    @abstractmethod
    def _ask(self, features: Any) -> NDArray[np.float64]: ...
