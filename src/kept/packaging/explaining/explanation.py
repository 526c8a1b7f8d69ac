"""An explanation: what each input adds to an answer, and to what on which scale."""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.packaging.explaining.recipe import Method
from kept.packaging.signature import Label, Signature

Scale = Literal["log_odds", "logits", "log_value", "probability", "value"]

SCALES: dict[Scale, str] = {
    "log_odds": "log-odds: the logistic function of the sum is the probability",
    "logits": "logits: the softmax of the classes' sums is their probabilities",
    "log_value": "logarithm: the exponential of the sum is the value",
    "probability": "probability: the sum is the probability",
    "value": "value: the sum is the value",
}


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Rows explained. Of each row and output, `base` and the contributions add up to `sum`, on the scale that is named.

    Args:
        method: exactly by the model's trees or weights, or by sampling.
        scale: what is added up.
        features: the inputs, in the order of the contributions.
        outputs: the class that each output is of; none for a regression.
        base: of each output, what is said of rows of which nothing is known.
        rows: the rows, in the order they were asked for.
        orders: for sampling, how many orders of the inputs were drawn.
        seed: for sampling, of these orders.
    """

    method: Method
    scale: Scale
    features: tuple[str, ...]
    outputs: tuple[Label, ...]
    base: tuple[float, ...]
    rows: tuple["ExplainedRow", ...]
    orders: int | None = None
    seed: int | None = None


class ExplainedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `contributions` are `[outputs][features]`; with `half_widths` they come with 95% intervals, from sampling.

    `answers` are the model's own: probabilities, or a value.
    """

    answers: tuple[float, ...]
    sums: tuple[float, ...]
    contributions: tuple[tuple[float, ...], ...]
    half_widths: tuple[tuple[float, ...], ...] | None = None


def outputs_of(signature: Signature) -> tuple[Label, ...]:
    """The class that each explained output is of: the second of two, each of several, none for a regression."""
    return signature.classes[1:] if signature.task == "binary" else signature.classes


def plain_scale(signature: Signature) -> Scale:
    """What answers are, where they are added up as they are."""
    return "value" if signature.task == "regression" else "probability"


def nested(values: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """A matrix as the rows of an explanation hold it."""
    return msgspec.convert(values.tolist(), tuple[tuple[float, ...], ...])
