"""An ONNX model with named tensors in ONNX Runtime: what it takes and answers is declared by its own graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kept.core.errors import Damaged
from kept.packaging.onnx_model import open_session
from kept.packaging.signature import Element, Field, Output, Signature, Tensor
from kept.packaging.tensors import Array, tensor_of

ELEMENTS: dict[str, Element] = {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


class OnnxTensors:
    """Answers batches: every input and output has the rows as its first dimension.

    A graph whose first dimension is fixed at 1 is asked row by row. `Damaged` when the graph is none of this signature.
    """

    def __init__(self, data: bytes, signature: Signature) -> None:
        self._session = open_session(data)
        inputs = {one.name: one for one in self._session.get_inputs()}
        outputs = {one.name: one for one in self._session.get_outputs()}
        if set(inputs) != set(signature.names) or not {one.name for one in signature.outputs} <= set(outputs):
            raise Damaged("the graph has other inputs or outputs than the signature", where="model.onnx")
        for field in signature.inputs:
            _expect(inputs[field.name], tensor_of(field))
        for output in signature.outputs:
            _expect(outputs[output.name], output.tensor)
        self._outputs = [one.name for one in signature.outputs]
        self._one_by_one = any(one.shape[0] == 1 for one in inputs.values())

    def run(self, features: Mapping[str, Array]) -> list[Array]:
        """The outputs of a batch, in the signature's order."""
        if not self._one_by_one:
            return self._run(features)
        rows = len(next(iter(features.values())))
        parts = [self._run({name: batch[row : row + 1] for name, batch in features.items()}) for row in range(rows)]
        return [np.concatenate(found) for found in zip(*parts, strict=True)]

    def _run(self, features: Mapping[str, Array]) -> list[Array]:
        answers: list[Array] = self._session.run(self._outputs, dict(features))
        return answers


def declared(session: Any) -> tuple[tuple[Field, ...], tuple[Output, ...]]:
    """The fields and outputs that a graph declares; a length that it leaves open is -1.

    Outputs of text, sequences and maps (labels, ZipMap) are left out: others can be asked for without them.

    Raises:
        Damaged: an input, or every output, is no tensor of numbers or truths; or one does not begin with the rows.
    """
    fields = tuple(
        Field(name=one.name, kind="tensor", nullable=False, tensor=_read(one)) for one in session.get_inputs()
    )
    answered = session.get_outputs()
    readable = [one for one in answered if one.type in ELEMENTS] or answered
    return fields, tuple(Output(name=one.name, tensor=_read(one)) for one in readable)


def _read(argument: Any) -> Tensor:
    where = f"model.onnx: {argument.name!r}"
    element = ELEMENTS.get(argument.type)
    if element is None:
        fix = "Export numbers and truths: text, sequences and maps (ZipMap) are not read"
        raise Damaged(f"it is a {argument.type}", where=where, fix=fix)
    shape = argument.shape
    if not shape or (isinstance(shape[0], int) and shape[0] not in {1, -1}):
        fix = "Export it with a first dimension that is dynamic (the rows)"
        raise Damaged(f"its shape {shape} does not begin with any number of rows", where=where, fix=fix)
    return Tensor(
        element=element, shape=tuple(size if isinstance(size, int) and size > 0 else -1 for size in shape[1:])
    )


def _expect(argument: Any, tensor: Tensor) -> None:
    found = _read(argument)
    alike = len(found.shape) == len(tensor.shape) and all(
        mine in {theirs, -1} or theirs == -1 for mine, theirs in zip(tensor.shape, found.shape, strict=True)
    )
    if found.element != tensor.element or not alike:
        what = f"the graph has {found.element} {list(found.shape)}, the signature {tensor.element} {list(tensor.shape)}"
        raise Damaged(what, where=f"model.onnx: {argument.name!r}")
