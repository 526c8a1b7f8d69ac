"""Tensors of a model that takes nothing but numbers, in their usual form: read in one pass over the body.

The usual form is one flat tensor for each field, in the signature's order and of one shape, or the one tensor `features`. What
looks otherwise, or is wrong, is left to `tensors`, which also says what is wrong.
"""

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import orjson

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
        value: Any = float | None if signature.inputs[0].nullable else float
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
        return (self._read_large(body) if len(body) > _LARGE else None) or self._read(body)

    def _read(self, body: bytes) -> tuple[Any, Sequence[Any]] | None:
        try:
            asked: Any = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        data = [tensor.data for tensor in asked.inputs]
        if not self._is_usual(asked.inputs, data):
            return None
        if len(asked.inputs) > 1 or asked.inputs[0].name != self._matrix:
            return asked, list(zip(*data, strict=True))
        flat, width = data[0], len(self._names)
        if len(flat) == width:
            return asked, data
        return asked, [flat[start : start + width] for start in range(0, len(flat), width)]

    def _read_large(self, body: bytes) -> tuple[Any, NumberRows] | None:
        """The same where no number is missing: orjson needs two thirds of the time for many, but knows no types."""
        try:
            sent = orjson.loads(body)
            data = [tensor.pop("data") for tensor in sent["inputs"]]
            asked: Any = msgspec.convert(sent, self._body)
            if not self._is_usual(asked.inputs, data):
                return None
            flat = data[0] if len(data) == 1 else list(chain.from_iterable(data))
            numbers = np.empty(len(flat))
            struct.pack_into(f"{len(flat)}d", numbers.data, 0, *flat)
        except (ValueError, LookupError, TypeError, AttributeError, msgspec.ValidationError, struct.error):
            return None
        # To Python true and false are numbers, too.
        if any(isinstance(flat[place], bool) for place in np.flatnonzero((numbers == 0) | (numbers == 1)).tolist()):
            return None
        if asked.inputs[0].name == self._matrix:
            return asked, NumberRows(numbers.reshape(-1, len(self._names)))
        return asked, NumberRows(np.ascontiguousarray(numbers.reshape(len(self._names), -1).T))

    def _is_usual(self, inputs: list[Any], data: list[Any]) -> bool:
        """Whether tensors have the names, shapes and types that they usually have, and as many values as they say."""
        if len(inputs) == 1 and (tensor := inputs[0]).name == self._matrix:
            shape, width, count = tensor.shape, len(self._names), len(data[0])
            usual: bool = len(shape) == 2 and shape[1] == width and 0 < count == shape[0] * width
            return usual and tensor.datatype in _NUMBERS
        if [tensor.name for tensor in inputs] != self._names:
            return False
        shape, rows = inputs[0].shape, len(data[0])
        if not rows or shape not in ([rows], [rows, 1]):
            return False
        return all(
            tensor.shape == shape and len(values) == rows and tensor.datatype in _NUMBERS
            for tensor, values in zip(inputs, data, strict=True)
        )
