"""Tensors of a model that takes nothing but numbers, in their usual form: read in one pass over the body.

The usual form is one flat tensor for each field, in the signature's order and of one shape, or the one tensor `features`. What
looks otherwise, or is wrong, is left to `tensors`, which also says what is wrong.
"""

from typing import Any

import msgspec

from kept.packaging.signature import Signature
from kept.serving.protocol.datatypes import FLOATS, INTEGERS
from kept.serving.protocol.values import kind_of

_NUMBERS = FLOATS | INTEGERS


class NumbersReader:
    """Reads bodies of one signature whose fields are all numbers and all alike in whether they may be null.

    Args:
        signature: says what the fields are.
        body: the type of a body, which has a list `inputs`.
        tensor: the type of its tensors, with `data` as it came.
        matrix: the name of the tensor that holds all fields; None where it is a field's own.
    """

    def __init__(self, signature: Signature, body: type, tensor: type, matrix: str | None) -> None:
        self._names = signature.names
        self._matrix = matrix
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

    def read(self, body: bytes) -> tuple[Any, list[Any]] | None:
        """The decoded body and the values of each row, or None when it is not in the usual form."""
        try:
            asked: Any = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        inputs = asked.inputs
        values = self._row_by_row(inputs[0]) if len(inputs) == 1 else self._by_column(inputs)
        return None if values is None else (asked, values)

    def _row_by_row(self, tensor: Any) -> list[Any] | None:
        if tensor.name != self._matrix:
            return self._by_column([tensor])
        shape, flat, width = tensor.shape, tensor.data, len(self._names)
        if len(shape) != 2 or shape[1] != width or not flat or len(flat) != shape[0] * width:
            return None
        if tensor.datatype not in _NUMBERS:
            return None
        return [flat] if shape[0] == 1 else [flat[start : start + width] for start in range(0, len(flat), width)]

    def _by_column(self, inputs: list[Any]) -> list[Any] | None:
        if [tensor.name for tensor in inputs] != [*self._names]:
            return None
        shape = inputs[0].shape
        if shape not in ([rows := len(inputs[0].data)], [rows, 1]) or not rows:
            return None
        for tensor in inputs:
            if tensor.shape != shape or len(tensor.data) != rows or tensor.datatype not in _NUMBERS:
                return None
        return list(zip(*[tensor.data for tensor in inputs], strict=True))
