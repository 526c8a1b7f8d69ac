"""Labelled predictions as arrays: labels as numbers, scores as the model gave them, losses between 0 and 1."""

import msgspec
import numpy as np
import polars as pl

from kept.measures.arrays import Array, Floats
from kept.measures.losses import row_loss
from kept.packaging.signature import Label, class_places, plain_label
from kept.plan.specs import Task


class Outcomes(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Labelled predictions of one version, in the order of their rows."""

    frame: pl.DataFrame
    """Their features, by which objectives may slice."""
    labels: Floats
    """Indices of the classes, or numbers: `(n,)`."""
    scores: Floats
    """Probabilities of the second class or predicted numbers `(n,)`, or one probability a class `(n, k)`."""

    label_numbers: Array | None = None
    """Which label of the ledger each row has, `(n,)`; None where each has one of its own."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.labels.size)

    def by_label(self, losses: Floats) -> Floats:
        """A loss for each label, in the order of their first rows: the mean of the rows that share it.

        What happened once is one observation, however often it was asked about: requests that came twice are no
        evidence of their own.
        """
        if self.label_numbers is None:
            return losses
        _, first, place = np.unique(self.label_numbers, return_index=True, return_inverse=True)
        means = np.bincount(place, weights=losses) / np.bincount(place)
        return means[np.argsort(first)]


def encode_known(labels: pl.Series, classes: tuple[Label, ...]) -> Floats:
    """Each label as the index of its class, or its number where there are no classes; NaN for any other.

    `1`, `1.0`, `"1"` and `true` are one class, if the model knows it by one of these.
    """
    if not classes:
        return labels.cast(pl.Float64, strict=False).to_numpy()
    places = class_places(classes)
    return np.array([places.get(plain_label(value), np.nan) for value in labels.to_list()], dtype=np.float64)


def loss_between_0_and_1(task: Task, outcomes: Outcomes, scale: float | None) -> Floats:
    """The loss of each row that the label detector and the canary look at: the Brier score, or the bounded error.

    `scale` is the error of a regression that is as bad as any. Probabilities that do not add up may lose more than 1:
    they are as bad as any, too.
    """
    if task == "regression":
        return row_loss("bounded_error", outcomes.labels, outcomes.scores, scale=scale)
    return np.minimum(row_loss("brier", outcomes.labels, outcomes.scores), 1.0)
