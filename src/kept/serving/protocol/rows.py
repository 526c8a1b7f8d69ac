"""The plain form: `POST /predict/{endpoint}` with `{"rows": [{"field": value, ...}, ...]}` or `{"columns": {"field": [value, ...]}}`.

Beside them it may carry `keys` (one per row), `event_times` (one per row) or `event_time` (for all), with their zone,
`routing_key` and `timeout` (microseconds). Every field of the signature must be there, null where it is unknown; further fields
are not read, so that a sender can serve two versions with different inputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kept.core.errors import Invalid
from kept.packaging.rows import RowReader
from kept.packaging.signature import Field, Signature
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
    integers_in,
    type_of,
)

# What may stand beside the rows, and what it is when it does not.
BESIDE: tuple[tuple[str, Any, None], ...] = (
    ("keys", list[Key | None] | None, None),
    ("event_times", list[Moment] | None, None),
    ("event_time", Moment | None, None),
    ("routing_key", Key | None, None),
    ("timeout", int | None, None),
)


class RowsReader:
    """Reads bodies in the plain form for one signature."""

    def __init__(self, signature: Signature) -> None:
        self._names = signature.names
        self._integers = integers_in(signature.inputs)
        # Where a name cannot be a typed field (quotes, control characters), rows are read as objects and checked after.
        self._checked = None if all(_typable(field) for field in signature.inputs) else RowReader(signature)
        row = dict[str, Any] if self._checked else _typed("Row", signature.inputs, type_of)
        self.row_type: Any = row
        columns = dict[str, Any] if self._checked else _typed("Columns", signature.inputs, _column_of)
        self._decoder = msgspec.json.Decoder(_body_type(row, columns))
        self._alone = msgspec.json.Decoder(row)

    def read(self, body: bytes) -> Question:
        """The question, or `Invalid` naming the field."""
        try:
            asked: Any = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error) from error
        if asked.rows is msgspec.UNSET:
            values = self._from_columns(asked.columns)
            shown = "columns.{name}[{row}]"
        elif asked.columns is not msgspec.UNSET:
            raise Invalid("there are rows and columns", where="body", fix="Send one of them")
        elif not asked.rows:
            raise Invalid("there are no rows", where="rows", fix="Send at least one")
        else:
            values = self.rows(asked.rows)
            shown = "rows[{row}].{name}"
        for place, name in self._integers:
            check_whole([row[place] for row in values], name, shown)
        return asked_with(asked, values)

    def row(self, body: bytes) -> Any:
        """The values of a body that is one row and nothing else, or `Invalid` naming the field."""
        try:
            values = self.rows([self._alone.decode(body)])[0]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error) from error
        for place, name in self._integers:
            check_whole([values[place]], name, "{name}")
        return values

    def rows(self, rows: list[Any]) -> list[Any]:
        """The values of decoded rows."""
        return self._checked.read(rows) if self._checked else [msgspec.structs.astuple(row) for row in rows]

    def _from_columns(self, columns: Any) -> list[Any]:
        if columns is msgspec.UNSET:
            raise Invalid("the field 'rows' is missing", where="body", fix="Send rows, or columns")
        if self._checked is None:
            columns = dict(zip(self._names, msgspec.structs.astuple(columns), strict=True))
        values = transpose(columns, self._names, "columns")
        if self._checked is None:
            return values
        return self._checked.read([dict(zip(self._names, row, strict=True)) for row in values])


def transpose(columns: Mapping[str, Any], names: Sequence[str], where: str) -> list[Any]:
    """The rows of columns, in the order of the names; at least one."""
    for name in names:
        if name not in columns:
            raise Invalid(f"the field {name!r} is missing", where=where, fix="Send it; null if it is unknown")
        if not isinstance(columns[name], list):
            raise Invalid("expected a list", where=f"{where}.{name}", fix="Send a list, an item for each row")
    rows = len(columns[names[0]])
    for name in names:
        if len(columns[name]) != rows:
            what = f"expected {rows} values like the column {names[0]!r}, found {len(columns[name])}"
            raise Invalid(what, where=f"{where}.{name}")
    if not rows:
        raise Invalid("there are no rows", where=where, fix="Send at least one")
    return list(zip(*(columns[name] for name in names), strict=True))


def asked_with(asked: Any, values: list[Any]) -> Question:
    """The question of rows with what stands beside them, which is as `BESIDE` says."""
    rows = len(values)
    moments = asked.event_times if asked.event_times is not None else asked.event_time
    return Question(
        values=values,
        keys=None if asked.keys is None else as_keys(asked.keys, rows),
        event_times=None if moments is None else as_event_times(moments, rows),
        routing_key=as_routing_key(asked.routing_key),
        timeout_us=as_timeout(asked.timeout, "timeout"),
    )


def _typed(name: str, inputs: tuple[Field, ...], type_for: Any) -> type[msgspec.Struct]:
    names = {f"f{place}": field.name for place, field in enumerate(inputs)}
    fields = [(f"f{place}", type_for(field)) for place, field in enumerate(inputs)]
    return msgspec.defstruct(name, fields, rename=names, gc=False)


def _column_of(field: Field) -> Any:
    value: Any = type_of(field)
    return list[value]


def _body_type(row: Any, columns: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        "Body",
        [
            ("rows", list[row] | msgspec.UnsetType, msgspec.UNSET),
            ("columns", columns | msgspec.UnsetType, msgspec.UNSET),
            *BESIDE,
        ],
        forbid_unknown_fields=True,
    )


def _typable(field: Field) -> bool:
    return not any(character in '"\\' or ord(character) < 32 for character in field.name)
