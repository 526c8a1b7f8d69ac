"""Warming up: the first predictions of a model, before anybody waits for one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Signature
from kept.serving.protocol.values import kind_of

_SIZES = (1, 2, 16, 1)


def warm(signature: Signature, predict: Callable[[Sequence[Sequence[Any]]], Any]) -> None:
    """Asks a model about rows of usual values, in a few numbers."""
    row = tuple(_usual(field) for field in signature.inputs)
    for size in _SIZES:
        try:
            predict([row] * size)
        except Invalid:
            # The usual values may be none that the model takes; it was held against its self-test before.
            return


def _usual(field: Field) -> Any:
    if field.tensor is not None:
        return np.zeros([max(size, 1) for size in field.tensor.shape], dtype=field.tensor.element)
    kind = kind_of(field)
    if field.categories:
        return field.categories[0]
    if kind == "number":
        return float(field.minimum or 0.0)
    return {"integer": int(field.minimum or 0), "boolean": False, "text": ""}[kind]
