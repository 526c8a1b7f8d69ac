"""The Open Inference Protocol, version 2: `POST /v2/models/{endpoint}/infer`, in JSON or with tensors as bytes behind it.

Inputs are one tensor for each field of the signature, of shape [n] (or [n, 1], [n, 1, 1], ...; [n, ...] where the field is a
tensor itself), or for models that take
numbers only one tensor `features` of shape [n, fields], row by row; of more dimensions where those behind the first hold as
many values as there are fields, as an image's do. A missing value is null in `data`, and NaN in a float's bytes.
`parameters` may carry `keys` (or `key`), `event_times` (or `event_time`) and `routing_key`, as in the plain form, and `timeout`
(microseconds), `binary_data_output`, `explain`. Further inputs are not read.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Signature
from kept.serving.protocol.datatypes import FLOATS, INTEGERS, unpack, unpack_many
from kept.serving.protocol.number_rows import NumberRows
from kept.serving.protocol.numbers import NumbersReader
from kept.serving.protocol.tensor_columns import TensorColumn
from kept.serving.protocol.values import (
    Key,
    Moment,
    Question,
    as_event_times,
    as_keys,
    as_routing_key,
    as_timeout,
    check_whole,
    explain,
    kind_of,
    type_of,
)

MATRIX = "features"

_DATATYPES = {
    "number": FLOATS | INTEGERS,
    "integer": INTEGERS | FLOATS,
    "boolean": frozenset({"BOOL"}),
    "text": frozenset({"BYTES"}),
}
_USUAL = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "text": "BYTES"}
_ROW = "inputs {name!r}: row {row}"
_MOST_DIMENSIONS = 16
_SPACE = b" \t\r\n"
# The product of larger ones would be a number that nothing can tell of.
_Size = Annotated[int, msgspec.Meta(le=2**63 - 1)]


class _TensorParameters(msgspec.Struct, gc=False):
    binary_data_size: _Size | None = None


class _Tensor(msgspec.Struct, gc=False):
    name: str
    shape: list[_Size]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: _TensorParameters | None = None


class Part(msgspec.Struct, gc=False):
    """A tensor whose elements did not come as JSON: as bytes, or as a list of values."""

    name: str
    shape: list[int]
    datatype: str
    data: Any


class _WantedParameters(msgspec.Struct):
    binary_data: bool | None = None
    classification: int | None = None
    shared_memory_region: str | None = None


class _Wanted(msgspec.Struct):
    name: str
    parameters: _WantedParameters | None = None


class Parameters(msgspec.Struct):
    """What a request says beside its tensors. Further ones are not read."""

    keys: list[Key | None] | None = None
    key: Key | None = None
    event_times: list[Moment] | None = None
    event_time: Moment | None = None
    routing_key: Key | None = None
    timeout: int | None = None
    binary_data_output: bool | None = None
    explain: bool | None = None


class _Body(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[_Wanted] | None = None


class Sent(msgspec.Struct, gc=False):
    """A request whose tensors did not come as JSON at all."""

    inputs: list[Part]
    outputs: list[str] = []
    id: str | None = None
    parameters: Parameters | None = None


_decoder = msgspec.json.Decoder(_Body)


class TensorsReader:
    """Reads bodies of the protocol for one signature, whose answers have these output names."""

    def __init__(self, signature: Signature, outputs: tuple[str, ...]) -> None:
        self._columns = [_Column(one) if one.tensor is None else TensorColumn(one) for one in signature.inputs]
        self._outputs = outputs
        numeric = all(field.kind in {"number", "integer"} for field in signature.inputs)
        self._matrix = _Matrix(signature.inputs) if numeric and MATRIX not in signature.names else None
        matrix = MATRIX if self._matrix is not None else None
        self._numbers = NumbersReader(signature, _Body, _Tensor, matrix) if NumbersReader.takes(signature) else None

    def read(self, body: bytes, json_size: int | None = None) -> Question:
        """The question, or `Invalid` naming the input.

        Args:
            body: what came.
            json_size: how much of it is JSON when tensors follow as bytes; None when all of it is.
        """
        if json_size is not None and json_size > len(body):
            what = f"the JSON was to have {json_size} bytes, and the body has {len(body)}"
            raise Invalid(what, where="inference-header-content-length")
        found = self._numbers.read(body) if self._numbers is not None and json_size is None else None
        asked, values = found or self._read(body, json_size)
        question = Question(values=values, name=asked.id)
        if asked.outputs:
            for output in asked.outputs:
                if output.parameters is not None:
                    check_form_of(
                        output.name, [name for name in OTHER_FORMS if getattr(output.parameters, name) is not None]
                    )
            question.wanted = self._wanted([output.name for output in asked.outputs])
        if asked.parameters is not None:
            _add_parameters(question, asked.parameters)
        if json_size is not None or asked.parameters is not None or asked.outputs:
            question.binary = self._binary(asked)
        return question

    def read_sent(self, sent: Sent) -> Question:
        """The question, or `Invalid` naming the input."""
        question = Question(values=self._values(sent.inputs), name=sent.id)
        if sent.outputs:
            question.wanted = self._wanted(sent.outputs)
        if sent.parameters is not None:
            _add_parameters(question, sent.parameters)
        return question

    def _read(self, body: bytes, json_size: int | None) -> tuple[_Body, Sequence[Any]]:
        """The decoded body and the values of each row."""
        try:
            asked = _decoder.decode(body if json_size is None else memoryview(body)[:json_size])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error) from error
        inputs: Sequence[_Tensor | Part] = asked.inputs if json_size is None else _parts(asked.inputs, body, json_size)
        return asked, self._values(inputs)

    def _values(self, inputs: Sequence[_Tensor | Part]) -> Sequence[Any]:
        """The values of each row, in the signature's order."""
        by_name = {tensor.name: tensor for tensor in inputs}
        if len(by_name) < len(inputs):
            raise Invalid("two inputs have one name", where="inputs", fix="Give each its own")
        if self._matrix is not None and MATRIX in by_name:
            return self._matrix.read(by_name[MATRIX])
        columns = []
        for column in self._columns:
            tensor = by_name.get(column.name)
            if tensor is None:
                raise Invalid(f"the input {column.name!r} is missing", where="inputs", fix=f"Send it as {column.usual}")
            columns.append(column.read(tensor))
        rows = len(columns[0])
        for column, values in zip(self._columns, columns, strict=True):
            if len(values) != rows:
                what = f"expected {rows} values like the input {self._columns[0].name!r}, found {len(values)}"
                raise Invalid(what, where=f"inputs {column.name!r}")
        return list(zip(*columns, strict=True))

    def _wanted(self, names: list[str]) -> tuple[str, ...]:
        """The outputs asked for."""
        for name in names:
            if name not in self._outputs:
                fix = f"Ask for {', '.join(self._outputs)}"
                raise Invalid(f"there is no output {name!r}", where="outputs", fix=fix)
        if len(set(names)) < len(names):
            raise Invalid("an output is asked for twice", where="outputs", fix="Name each once")
        return tuple(names)

    def _binary(self, asked: _Body) -> frozenset[str]:
        """The outputs that are to come as bytes."""
        usual = asked.parameters is not None and bool(asked.parameters.binary_data_output)
        if not asked.outputs:
            return frozenset(self._outputs) if usual else frozenset()
        return frozenset(
            output.name
            for output in asked.outputs
            if (usual if output.parameters is None or output.parameters.binary_data is None else output.parameters.binary_data)
        )  # fmt: skip


# What other servers' extensions make of an output: who asks for it would read our answer as something else.
OTHER_FORMS = ("classification", "shared_memory_region")


def check_form_of(output: str, parameters: Iterable[str]) -> None:
    """Raises when parameters of an output that is asked for say that it is to come in a form that there is not here."""
    for name in parameters:
        if name in OTHER_FORMS:
            fix = "Ask for the output as it is"
            raise Invalid(f"there is no {name} here", where=f"outputs {output!r}: parameters", fix=fix)


def _parts(inputs: list[_Tensor], body: bytes, json_size: int) -> list[_Tensor | Part]:
    """The inputs, each with its own piece of what follows the JSON."""
    found: list[_Tensor | Part] = []
    view, place = memoryview(body), json_size
    for tensor in inputs:
        size = None if tensor.parameters is None else tensor.parameters.binary_data_size
        if size is None:
            found.append(tensor)
            continue
        where = f"inputs {tensor.name!r}"
        if tensor.data:
            raise Invalid("it has data in JSON and a binary_data_size", where=where, fix="Send one of them")
        if size < 0 or place + size > len(body):
            what = f"expected {size} bytes of binary data, found {len(body) - place}"
            raise Invalid(what, where=where, fix="Send the binary data of all inputs, in their order, behind the JSON")
        found.append(Part(tensor.name, tensor.shape, tensor.datatype, view[place : place + size]))
        place += size
    if place != len(body):
        what = f"{len(body) - place} bytes behind the JSON belong to no input"
        raise Invalid(what, where="body", fix="Give each input's size as its parameter binary_data_size")
    return found


class _Elements:
    """Decodes the elements of tensors in one type, from a flat list or from lists within lists."""

    def __init__(self, value: Any) -> None:
        self._value = value
        # What is a number in the signature is one in the log, whatever it was sent as.
        self._floats = value in {float, float | None}
        self._decoders: list[msgspec.json.Decoder[Any]] = [msgspec.json.Decoder(list[value])]

    def read(self, tensor: _Tensor | Part, where: str, kind: str, *, nullable: bool) -> list[Any]:
        """The elements, row by row; as many as the shape holds."""
        shape = tensor.shape
        if min(shape) < 1:
            raise Invalid(f"the shape {shape} holds no row", where=where, fix="Send at least one")
        count = shape[0] if len(shape) == 1 else math.prod(shape)
        data = tensor.data
        if type(data) is msgspec.Raw:
            return self._decode(data, shape, count, where)
        values = unpack(tensor.datatype, count, data, where) if isinstance(data, bytes | memoryview) else data
        if len(values) != count:
            raise Invalid(f"the shape {shape} holds {count} values, found {len(values)}", where=where)
        if self._floats and tensor.datatype in INTEGERS:
            return list(map(float, values))
        if None in values and not nullable:
            what = f"expected {kind}, found NaN"
            raise Invalid(what, where=f"{where}: row {values.index(None) * shape[0] // count}", fix="Send a value")
        return values

    def _decode(self, data: msgspec.Raw, shape: list[int], count: int, where: str) -> list[Any]:
        if not data:
            fix = "Send the values as a list in `data`, or as bytes with binary_data_size and Inference-Header-Content-Length"
            raise Invalid("it has no data", where=where, fix=fix)
        try:
            if len(shape) > 1 and bytes(memoryview(data)[:64]).translate(None, _SPACE).startswith(b"[["):
                values = self._flattened(data, shape, where)
            else:
                values = self._decoders[0].decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error, inside=f"{where}: data") from error
        if len(values) != count:
            raise Invalid(f"the shape {shape} holds {count} values, found {len(values)}", where=where)
        return values

    def _flattened(self, data: msgspec.Raw, shape: list[int], where: str) -> list[Any]:
        while len(self._decoders) < len(shape):
            nested: Any = self._value
            for _ in range(len(self._decoders) + 1):
                nested = list[nested]
            self._decoders.append(msgspec.json.Decoder(nested))
        values: list[Any] = self._decoders[len(shape) - 1].decode(data)
        for size in shape[1:]:
            if any(len(inner) != size for inner in values):
                raise Invalid(f"its lists are not all as long as the shape {shape} says", where=where)
            values = [value for inner in values for value in inner]
        return values


class _Column:
    """The tensor of one field."""

    def __init__(self, field: Field) -> None:
        self.name = field.name
        self._kind = kind_of(field)
        self.usual = _USUAL[self._kind]
        self._datatypes = _DATATYPES[self._kind]
        self._nullable = field.nullable
        self._elements = _Elements(type_of(field))

    def read(self, tensor: _Tensor | Part) -> list[Any]:
        """The values, one for each row."""
        where = f"inputs {self.name!r}"
        if tensor.datatype not in self._datatypes:
            raise Invalid(f"expected the datatype {self.usual}, found {tensor.datatype!r}", where=where)
        shape = tensor.shape
        if len(shape) != 1 and (
            not 1 < len(shape) <= _MOST_DIMENSIONS or any(size != 1 for size in shape[1:])
        ):  # fmt: skip
            raise Invalid(f"expected the shape [rows] or [rows, 1], found {shape}", where=where)
        values = self._elements.read(tensor, where, f"a value of {tensor.datatype}", nullable=self._nullable)
        if self._kind == "integer":
            check_whole(values, self.name, _ROW)
        return values


class _Matrix:
    """The one tensor that holds all fields."""

    def __init__(self, inputs: tuple[Field, ...]) -> None:
        self._width = len(inputs)
        self._integers = [(place, field.name) for place, field in enumerate(inputs) if kind_of(field) == "integer"]
        self._required = [(place, field.name) for place, field in enumerate(inputs) if not field.nullable]
        self._elements = _Elements(float | None)

    def read(self, tensor: _Tensor | Part) -> Sequence[Any]:
        """The values of each row."""
        where = f"inputs {MATRIX!r}"
        if tensor.datatype not in FLOATS | INTEGERS:
            raise Invalid(f"expected the datatype FP64, found {tensor.datatype!r}", where=where)
        shape, width = tensor.shape, self._width
        if not 1 < len(shape) <= _MOST_DIMENSIONS or (
            shape[1] != width if len(shape) == 2 else math.prod(shape[1:]) != width
        ):
            raise Invalid(f"expected the shape [rows, {width}], found {shape}", where=where)
        if (rows := self._many(tensor)) is not None:
            return rows
        flat = self._elements.read(tensor, where, "numbers", nullable=True)
        values = [flat] if shape[0] == 1 else [flat[start : start + width] for start in range(0, len(flat), width)]
        for place, name in self._integers:
            check_whole([row[place] for row in values], name, where + ": row {row}, field {name!r}")
        for place, name in self._required:
            for row, row_values in enumerate(values):
                if row_values[place] is None:
                    raise Invalid(
                        f"the field {name!r} must not be null", where=f"{where}: row {row}", fix="Send a value"
                    )
        return values

    def _many(self, tensor: _Tensor | Part) -> NumberRows | None:
        """The values of many rows that came as bytes and need no look at each."""
        shape, data = tensor.shape, tensor.data
        if self._integers or not isinstance(data, bytes | memoryview) or min(shape) < 1:
            return None
        numbers = unpack_many(tensor.datatype, math.prod(shape), data)
        if numbers is None or (self._required and np.isnan(numbers).any()):
            return None
        return NumberRows(numbers.reshape(shape[0], self._width))


def _add_parameters(question: Question, given: Parameters) -> None:
    """Puts what stands beside the tensors into the question."""
    rows = len(question.values)
    keys = given.keys if given.keys is not None else None if given.key is None else [given.key]
    moments = given.event_times if given.event_times is not None else given.event_time
    question.keys = None if keys is None else as_keys(keys, rows)
    question.event_times = None if moments is None else as_event_times(moments, rows)
    question.routing_key = as_routing_key(given.routing_key)
    question.explain = bool(given.explain)
    question.timeout_us = as_timeout(given.timeout, "parameters.timeout")
