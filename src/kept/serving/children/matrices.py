"""A shortcut for narwhals: a plain array is no table, which scikit-learn asks it many times in one prediction."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

_MODULE = "narwhals.stable.v2.dependencies"
_QUESTIONS = ("is_into_dataframe", "is_into_series")


def know_matrices() -> None:
    """Has narwhals say at once of a plain array that it is neither a table nor a column, in this process.

    It says so anyway, after it has looked for attributes of many kinds of tables. scikit-learn 1.9 asks it in each step of a
    pipeline, up to six times, which takes half of a light model's time. Where scikit-learn does not ask it, nothing is done.
    """
    asked = sys.modules.get(_MODULE)
    for name in _QUESTIONS:
        if (question := getattr(asked, name, None)) is not None:
            setattr(asked, name, _of_others(question))


def _of_others(question: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """The question, which is asked only of what is no plain array: of that the answer is no."""

    def answer(one: Any) -> bool:
        return type(one) is not np.ndarray and question(one)

    return answer
