"""MLflow's form: `POST /invocations/{endpoint}` with `dataframe_split`, `dataframe_records`, `instances` or `inputs` in JSON, or CSV.

`instances` are rows (objects, or lists in the signature's order); `inputs` are columns by name, or rows. `params` may carry what
`/predict` takes beside its rows; further params are not read. In CSV the first line names the columns, and an empty cell is
missing.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Signature
from kept.serving.protocol.rows import BESIDE, RowsReader, asked_with, transpose
from kept.serving.protocol.values import Question, check_whole, explain, integers_in, kind_of, type_of

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_CELL = re.compile(r"\$\[(?P<row>\d+)\]\[(?P<place>\d+)\]")
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


class _Split(msgspec.Struct):
    data: list[list[Any]]
    columns: list[str] | None = None


_Params = msgspec.defstruct("_Params", BESIDE)
_NOTHING = _Params()


class InvocationsReader:
    """Reads MLflow's bodies for one signature."""

    def __init__(self, signature: Signature, rows: RowsReader) -> None:
        self._fields = signature.inputs
        self._names = signature.names
        self._integers = integers_in(signature.inputs)
        self._rows = rows
        self._cells: Any = list[tuple[*(type_of(field) for field in signature.inputs)]]  # type: ignore[misc]
        self._decoder = msgspec.json.Decoder(_body_type(rows.row_type))

    def read(self, body: bytes) -> Question:
        """The question of a JSON body, or `Invalid` naming the column."""
        try:
            asked: Any = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error) from error
        form = given_form(asked)
        sent = getattr(asked, form)
        if form == "dataframe_split":
            values = self._ordered(sent.data, sent.columns, "dataframe_split")
        elif form == "dataframe_records":
            values = self._rows.rows(sent)
        else:
            values = self._tensors(sent, form)
        return self._question(values, asked.params or _NOTHING, form)

    def read_csv(self, body: bytes) -> Question:
        """The question of a body in CSV."""
        try:
            lines = list(csv.reader(io.StringIO(str(body, "utf-8-sig"), newline=""), strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise Invalid(f"the body is not CSV ({error})", where="body", fix="Send CSV in UTF-8") from error
        lines = [line for line in lines if line]
        if not lines:
            raise Invalid("there is no line", where="body", fix="Name the columns in the first line")
        columns, *rows = lines
        places = self._places(columns, "csv")
        for number, row in enumerate(rows):
            if len(row) != len(columns):
                raise Invalid(f"expected {len(columns)} cells, found {len(row)}", where=f"row {number}")
        readers = [(place, _cell_reader(field), field) for place, field in zip(places, self._fields, strict=True)]
        values = [
            tuple(_cell(row[place], read, field, number) for place, read, field in readers)
            for number, row in enumerate(rows)
        ]
        return self._question(values, _NOTHING, "csv")

    def _question(self, values: list[Any], params: Any, form: str) -> Question:
        if not values:
            raise Invalid("there are no rows", where=form, fix="Send at least one")
        for place, name in self._integers:
            check_whole([row[place] for row in values], name, form + ": row {row}, column {name!r}")
        return asked_with(params, values)

    def _tensors(self, sent: Any, form: str) -> list[Any]:
        if isinstance(sent, dict):
            if all(not isinstance(sent.get(name), list) for name in self._names):
                sent = {name: [value] for name, value in sent.items()}
            return self._converted(transpose(sent, self._names, form), form)
        if not sent or isinstance(sent[0], list):
            return self._ordered(sent, None, form)
        if all(isinstance(row, dict) for row in sent):
            return self._named(sent, form)
        if len(self._names) == 1:
            return self._converted([(value,) for value in sent], form)
        raise Invalid("expected objects or lists, found other rows", where=form, fix="Send an object for each row")

    def _named(self, rows: list[dict[str, Any]], form: str) -> list[Any]:
        for number, row in enumerate(rows):
            for name in self._names:
                if name not in row:
                    where, fix = f"{form}[{number}]", "Send it; null if it is unknown"
                    raise Invalid(f"the field {name!r} is missing", where=where, fix=fix)
        return self._converted([[row[name] for name in self._names] for row in rows], form)

    def _ordered(self, rows: list[Any], columns: Sequence[str] | None, form: str) -> list[Any]:
        """Rows of cells in the signature's order."""
        names = self._names if columns is None else columns
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(names):
                found = len(row) if isinstance(row, list) else "no list"
                raise Invalid(f"expected {len(names)} values, found {found}", where=f"{form}: row {number}")
        places = self._places(names, form)
        if places == [*range(len(names))]:
            return self._converted(rows, form)
        take = itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)
        return self._converted([take(row) for row in rows], form)

    def _converted(self, rows: list[Any], form: str) -> list[Any]:
        """Rows of values of the signature's types."""
        try:
            values: list[Any] = msgspec.convert(rows, self._cells)
        except msgspec.ValidationError as error:
            refused = explain(error)
            if match := _CELL.search(str(error)):
                where = f"{form}: row {match['row']}, column {self._names[int(match['place'])]!r}"
                raise Invalid(refused.what, where=where, fix=refused.fix) from error
            raise Invalid(refused.what, where=form, fix=refused.fix) from error
        return values

    def _places(self, columns: Sequence[str], form: str) -> list[int]:
        """Where each field of the signature stands among the columns."""
        by_name = {name: place for place, name in enumerate(columns)}
        if len(by_name) < len(columns):
            raise Invalid("two columns have one name", where=form, fix="Give each its own")
        for name in self._names:
            if name not in by_name:
                raise Invalid(f"the column {name!r} is missing", where=form, fix="Send it; null if it is unknown")
        return [by_name[name] for name in self._names]


def given_form(asked: Any) -> str:
    """The one form that a body has."""
    given = [form for form in _FORMS if getattr(asked, form) is not msgspec.UNSET]
    if len(given) != 1:
        what = f"expected one of {', '.join(_FORMS)}, found {' and '.join(given) or 'none of them'}"
        raise Invalid(what, where="body", fix="Send exactly one")
    return given[0]


def _body_type(row: Any) -> type[msgspec.Struct]:
    rows = list[row]
    return msgspec.defstruct(
        "Body",
        [
            ("dataframe_split", _Split | msgspec.UnsetType, msgspec.UNSET),
            ("dataframe_records", rows | msgspec.UnsetType, msgspec.UNSET),
            ("instances", list[Any] | msgspec.UnsetType, msgspec.UNSET),
            ("inputs", list[Any] | dict[str, Any] | msgspec.UnsetType, msgspec.UNSET),
            ("params", _Params | None, None),
        ],
    )


def _cell(text: str, read: Callable[[str], Any], field: Field, row: int) -> Any:
    where = f"csv: row {row}, column {field.name!r}"
    value = None if not text else read(text)
    if value is None and not field.nullable:
        raise Invalid(f"the field {field.name!r} must not be missing", where=where, fix="Send a value")
    if value is _UNREADABLE:
        shown = text if len(text) <= 40 else f"{text[:37]}..."
        raise Invalid(f"expected {_SAID[kind_of(field)]}, found {shown!r}", where=where)
    return value


_UNREADABLE = object()
_SAID = {"number": "a number", "integer": "a whole number", "boolean": "true or false"}


def _cell_reader(field: Field) -> Callable[[str], Any]:
    """Reads a cell that is not empty; None for NaN, `_UNREADABLE` for what is not right."""
    readers: dict[str, Callable[[str], Any]] = {
        "number": _number,
        "integer": _integer,
        "boolean": _truth,
        "text": str,
    }
    return readers[kind_of(field)]


def _number(text: str) -> Any:
    try:
        value = _UNREADABLE if "_" in text else float(text)
    except ValueError:
        return _UNREADABLE
    return None if value != value else value  # noqa: PLR0124 - only NaN is not itself


def _integer(text: str) -> Any:
    # Digits beyond 64 bits' need are not worth reading: a long row of them would take long.
    if len(text) <= 20 and text.removeprefix("-").isdecimal() and text.isascii():
        return int(text)
    return _number(text)


def _truth(text: str) -> Any:
    return _TRUTHS.get(text.strip().lower(), _UNREADABLE)
