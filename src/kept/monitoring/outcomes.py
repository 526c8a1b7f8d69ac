"""Labelled predictions as arrays: labels as numbers, scores as the model gave them, losses between 0 and 1."""

from typing import Any

import msgspec
import numpy as np
import polars as pl

from kept.measures.arrays import Floats
from kept.measures.losses import row_loss
from kept.packaging.signature import Label
from kept.plan.specs import Task

_BOOLEANS = {"true": "1", "false": "0", "1": "true", "0": "false"}


class Outcomes(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Labelled predictions of one version, in the order of their rows."""

    frame: pl.DataFrame
    """Their features, by which objectives may slice."""
    labels: Floats
    """Indices of the classes, or numbers: `(n,)`."""
    scores: Floats
    """Probabilities of the second class or predicted numbers `(n,)`, or one probability a class `(n, k)`."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.labels.size)


def encode_known(labels: pl.Series, classes: tuple[Label, ...]) -> Floats:
    """Each label as the index of its class, or its number where there are no classes; NaN for any other.

    Labels come from outside in the sender's types: `1`, `1.0`, `"1"` and `true` are one class, if the model knows it
    by one of these.
    """
    if not classes:
        return labels.cast(pl.Float64, strict=False).to_numpy()
    places = {_text(label): float(index) for index, label in enumerate(classes)}
    for text in [text for text in places if text in _BOOLEANS]:
        places.setdefault(_BOOLEANS[text], places[text])
    return np.array([places.get(_text(value), np.nan) for value in labels.to_list()], dtype=np.float64)


def loss_between_0_and_1(task: Task, outcomes: Outcomes, scale: float | None) -> Floats:
    """The loss of each row that the label detector and the canary look at: the Brier score, or the bounded error.

    `scale` is the error of a regression that is as bad as any.
    """
    if task == "regression":
        return row_loss("bounded_error", outcomes.labels, outcomes.scores, scale=scale)
    return row_loss("brier", outcomes.labels, outcomes.scores)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text.lower() if text in {"True", "False"} else text
