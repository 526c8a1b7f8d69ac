"""The Open Inference Protocol, version 2, in JSON: `POST /v2/models/{endpoint}/infer`.

Inputs are one tensor for each field of the signature, of shape [n] or [n, 1], or for models that take numbers only
one tensor `features` of shape [n, fields], row by row. In `data` a missing value is null. `parameters` may carry
`keys` (or `key`), `event_times` (or `event_time`) and `routing_key`, as in the plain form. Further inputs are not read.
"""

from typing import Any

import msgspec

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Signature
from kept.serving.protocol.values import (
    Key,
    Moment,
    Question,
    as_event_times,
    as_keys,
    as_routing_key,
    check_whole,
    explain,
    kind_of,
    type_of,
)

MATRIX = "features"

_FLOATS = frozenset({"FP16", "FP32", "FP64", "BF16"})
_INTEGERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_DATATYPES = {
    "number": _FLOATS | _INTEGERS,
    "integer": _INTEGERS | _FLOATS,
    "boolean": frozenset({"BOOL"}),
    "text": frozenset({"BYTES"}),
}
_USUAL = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "text": "BYTES"}
_ROW = "inputs {name!r}: row {row}"


class _Tensor(msgspec.Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()


class _Wanted(msgspec.Struct):
    name: str


class _Parameters(msgspec.Struct):
    keys: list[Key | None] | None = None
    key: Key | None = None
    event_times: list[Moment] | None = None
    event_time: Moment | None = None
    routing_key: Key | None = None


class _Body(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: _Parameters | None = None
    outputs: list[_Wanted] | None = None


_decoder = msgspec.json.Decoder(_Body)


class TensorsReader:
    """Reads bodies of the protocol for one signature, whose answers have these output names."""

    def __init__(self, signature: Signature, outputs: tuple[str, ...]) -> None:
        self._columns = [_Column(field) for field in signature.inputs]
        self._outputs = outputs
        numeric = all(field.kind in {"number", "integer"} for field in signature.inputs)
        self._matrix = _Matrix(signature.inputs) if numeric and MATRIX not in signature.names else None

    def read(self, body: bytes) -> Question:
        """The question, or `Invalid` naming the input."""
        try:
            asked = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error) from error
        question = Question(values=self._values(asked.inputs), name=asked.id)
        if asked.outputs:
            question.wanted = self._wanted(asked.outputs)
        if asked.parameters is not None:
            _add_parameters(question, asked.parameters)
        return question

    def _values(self, inputs: list[_Tensor]) -> list[Any]:
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

    def _wanted(self, outputs: list[_Wanted]) -> tuple[str, ...]:
        for output in outputs:
            if output.name not in self._outputs:
                fix = f"Ask for {', '.join(self._outputs)}"
                raise Invalid(f"there is no output {output.name!r}", where="outputs", fix=fix)
        return tuple(output.name for output in outputs)


class _Column:
    """The tensor of one field."""

    def __init__(self, field: Field) -> None:
        self.name = field.name
        self._kind = kind_of(field)
        self.usual = _USUAL[self._kind]
        self._datatypes = _DATATYPES[self._kind]
        value: Any = type_of(field)
        self._decoder = msgspec.json.Decoder(list[value])
        self._nested = msgspec.json.Decoder(list[list[value]])

    def read(self, tensor: _Tensor) -> list[Any]:
        """The values, one for each row."""
        where = f"inputs {self.name!r}"
        if tensor.datatype not in self._datatypes:
            raise Invalid(f"expected the datatype {self.usual}, found {tensor.datatype!r}", where=where)
        shape = tensor.shape
        if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
            raise Invalid(f"expected the shape [rows] or [rows, 1], found {shape}", where=where)
        values = _decode(self._decoder, self._nested, tensor.data, shape, where)
        if self._kind == "integer":
            check_whole(values, self.name, _ROW)
        return values


class _Matrix:
    """The one tensor that holds all fields."""

    def __init__(self, inputs: tuple[Field, ...]) -> None:
        self._names = [field.name for field in inputs]
        self._width = len(inputs)
        self._integers = [(place, field.name) for place, field in enumerate(inputs) if kind_of(field) == "integer"]
        self._required = [(place, field.name) for place, field in enumerate(inputs) if not field.nullable]
        self._decoder = msgspec.json.Decoder(list[float | None])
        self._nested = msgspec.json.Decoder(list[list[float | None]])

    def read(self, tensor: _Tensor) -> list[Any]:
        """The values of each row."""
        where = f"inputs {MATRIX!r}"
        if tensor.datatype not in _FLOATS | _INTEGERS:
            raise Invalid(f"expected the datatype FP64, found {tensor.datatype!r}", where=where)
        shape, width = tensor.shape, self._width
        if len(shape) != 2 or shape[1] != width:
            raise Invalid(f"expected the shape [rows, {width}], found {shape}", where=where)
        flat = _decode(self._decoder, self._nested, tensor.data, shape, where)
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


def _decode(
    flat: msgspec.json.Decoder[Any],
    nested: msgspec.json.Decoder[Any],
    data: msgspec.Raw,
    shape: list[int],
    where: str,
) -> list[Any]:
    """The tensor's values, row by row, from a flat or a nested list."""
    if not data:
        raise Invalid("it has no data", where=where, fix="Send the values as a list in `data`")
    if min(shape) < 1:
        raise Invalid(f"the shape {shape} holds no row", where=where, fix="Send at least one")
    try:
        if len(shape) == 2 and bytes(memoryview(data)[:64]).replace(b" ", b"").startswith(b"[["):
            rows = nested.decode(data)
            if any(len(row) != shape[1] for row in rows):
                raise Invalid(f"not every row has {shape[1]} values", where=where)
            values = [value for row in rows for value in row]
        else:
            values = flat.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error, inside=f"{where}: data") from error
    expected = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if len(values) != expected:
        raise Invalid(f"the shape {shape} holds {expected} values, found {len(values)}", where=where)
    return values


def _add_parameters(question: Question, given: _Parameters) -> None:
    rows = len(question.values)
    keys = given.keys if given.keys is not None else None if given.key is None else [given.key]
    moments = given.event_times if given.event_times is not None else given.event_time
    question.keys = None if keys is None else as_keys(keys, rows)
    question.event_times = None if moments is None else as_event_times(moments, rows)
    question.routing_key = as_routing_key(given.routing_key)
