"""Tensors of a model that takes nothing but numbers, in their usual form: read in one pass over the body.

The usual form is one flat tensor for each field, in the signature's order and of one shape, or the one tensor `features`. What
looks otherwise, or is wrong, is left to `tensors`, which also says what is wrong.
"""

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from kept.packaging.signature import Signature
from kept.serving.protocol.datatypes import FLOATS, INTEGERS
from kept.serving.protocol.number_rows import NumberRows
from kept.serving.protocol.values import kind_of

_NUMBERS = FLOATS | INTEGERS
# Beyond so many bytes numbers become a matrix at once.
_LARGE = 8_000


class NumbersReader:
    """Reads bodies of one signature whose fields are all numbers and all alike in whether they may be null.

    Args:
        signature: says what the fields are.
        body: the type of a body, which has a list `inputs`.
        tensor: the type of its tensors, with `data` as it came, or without.
        matrix: the name of the tensor that holds all fields; None where it is a field's own.
    """

    def __init__(self, signature: Signature, body: type, tensor: type, matrix: str | None) -> None:
        self._names = [*signature.names]
        self._matrix = matrix
        self._body = body
        self._nullable = signature.inputs[0].nullable
        value: Any = float | None if self._nullable else float
        typed: Any = msgspec.defstruct("NumberTensor", [("data", list[value])], bases=(tensor,), gc=False)
        self._decoder = msgspec.json.Decoder(msgspec.defstruct("NumberBody", [("inputs", list[typed])], bases=(body,)))

    @staticmethod
    def takes(signature: Signature) -> bool:
        """Whether the fields are such."""
        return {(kind_of(field), field.nullable) for field in signature.inputs} in (
            {("number", True)},
            {("number", False)},
        )

    def read(self, body: bytes) -> tuple[Any, Sequence[Any]] | None:
        """The decoded body and the values of each row, or None when it is not in the usual form."""
        if len(body) > _LARGE and (found := self._read_large(body)) is not None:
            return found
        try:
            asked: Any = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        inputs, width = asked.inputs, len(self._names)
        if len(inputs) == 1 and inputs[0].name == self._matrix:
            flat = inputs[0].data
            if not self._is_matrix(inputs[0], len(flat)):
                return None
            return asked, [flat] if len(flat) == width else [flat[at : at + width] for at in range(0, len(flat), width)]
        data = [tensor.data for tensor in inputs]
        return (asked, list(zip(*data, strict=True))) if self._are_columns(inputs, data) else None

    def _read_large(self, body: bytes) -> tuple[Any, NumberRows] | None:
        """The same: orjson needs two thirds of the time for many numbers, but knows no types."""
        try:
            sent = orjson.loads(body)
            data = [tensor.pop("data") for tensor in sent["inputs"]]
            asked: Any = msgspec.convert(sent, self._body)
            inputs = asked.inputs
            whole = len(inputs) == 1 and inputs[0].name == self._matrix
            if not (self._is_matrix(inputs[0], len(data[0])) if whole else self._are_columns(inputs, data)):
                return None
            flat = data[0] if len(data) == 1 else list(chain.from_iterable(data))
            numbers = self._numbers(flat)
        except (ValueError, LookupError, TypeError, AttributeError, msgspec.ValidationError, struct.error):
            return None
        # To Python true and false are numbers, too.
        if any(isinstance(flat[place], bool) for place in np.flatnonzero((numbers == 0) | (numbers == 1)).tolist()):
            return None
        if whole:
            return asked, NumberRows(numbers.reshape(-1, len(self._names)))
        return asked, NumberRows(np.ascontiguousarray(numbers.reshape(len(self._names), -1).T))

    def _numbers(self, values: list[Any]) -> NDArray[np.float64]:
        """NaN for None, where it may be there; anything but numbers raises `struct.error`."""
        numbers = np.empty(len(values))
        form = f"{len(values)}d"
        try:
            struct.pack_into(form, numbers.data, 0, *values)
        except struct.error:
            if not self._nullable:
                raise
            struct.pack_into(form, numbers.data, 0, *[math.nan if value is None else value for value in values])
        return numbers

    def _is_matrix(self, tensor: Any, count: int) -> bool:
        """Whether a tensor of so many values has the shape and the type of all fields together."""
        shape, width = tensor.shape, len(self._names)
        if len(shape) != 2 or shape[1] != width or not 0 < count == shape[0] * width:
            return False
        return tensor.datatype in _NUMBERS

    def _are_columns(self, inputs: list[Any], data: list[Any]) -> bool:
        """Whether tensors have the names, shapes and types of the fields, and all as many values as they say."""
        if [tensor.name for tensor in inputs] != self._names:
            return False
        shape, rows = inputs[0].shape, len(data[0])
        if not rows or shape not in ([rows], [rows, 1]):
            return False
        return all(
            tensor.shape == shape and len(values) == rows and tensor.datatype in _NUMBERS
            for tensor, values in zip(inputs, data, strict=True)
        )
