"""The plain form: `POST /predict/{endpoint}` with `{"rows": [{"field": value, ...}, ...]}`.

Beside `rows` it may carry `keys` (one per row), `event_times` (one per row) or `event_time` (for all), with their zone, and
`routing_key`. Every field of the signature must be there, null where it is unknown; further fields of a row are not
read, so that a sender can serve two versions with different inputs.
"""

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
    check_whole,
    explain,
    integers_in,
    type_of,
)


class RowsReader:
    """Reads bodies in the plain form for one signature."""

    def __init__(self, signature: Signature) -> None:
        self._integers = integers_in(signature.inputs)
        # Where a name cannot be a typed field (quotes, control characters), rows are read as objects and checked after.
        self._checked = None if all(_typable(field) for field in signature.inputs) else RowReader(signature)
        row = dict[str, Any] if self._checked else _row_type(signature.inputs)
        self._decoder = msgspec.json.Decoder(_body_type(row))

    def read(self, body: bytes) -> Question:
        """The question, or `Invalid` naming the field."""
        try:
            asked: Any = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error) from error
        rows = asked.rows
        if not rows:
            raise Invalid("there are no rows", where="rows", fix="Send at least one")
        values = self._checked.read(rows) if self._checked else [msgspec.structs.astuple(row) for row in rows]
        for place, name in self._integers:
            check_whole([row[place] for row in values], name, "rows[{row}].{name}")
        moments = asked.event_times if asked.event_times is not None else asked.event_time
        return Question(
            values=values,
            keys=None if asked.keys is None else as_keys(asked.keys, len(rows)),
            event_times=None if moments is None else as_event_times(moments, len(rows)),
            routing_key=as_routing_key(asked.routing_key),
        )


def _row_type(inputs: tuple[Field, ...]) -> type[msgspec.Struct]:
    names = {f"f{place}": field.name for place, field in enumerate(inputs)}
    fields = [(f"f{place}", type_of(field)) for place, field in enumerate(inputs)]
    return msgspec.defstruct("Row", fields, rename=names, gc=False)


def _body_type(row: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        "Body",
        [
            ("rows", list[row]),
            ("keys", list[Key | None] | None, None),
            ("event_times", list[Moment] | None, None),
            ("event_time", Moment | None, None),
            ("routing_key", Key | None, None),
        ],
        forbid_unknown_fields=True,
    )


def _typable(field: Field) -> bool:
    return not any(character in '"\\' or ord(character) < 32 for character in field.name)
