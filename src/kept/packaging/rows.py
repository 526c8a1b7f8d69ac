"""From rows to the model's matrix: checked against the signature, then encoded. Serving's hot path, so no table library."""

import math
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.encoding import TableEncoder
from kept.packaging.signature import Field, Signature

Row = Mapping[str, Any]
Matrix = NDArray[np.float64]

# The combinations of value types that were found good are remembered, so that a row costs one set lookup.
_REMEMBERED = 1024


class RowReader:
    """Takes the signature's values out of rows and columns, and refuses what does not have the type they must have.

    A value beyond the training range and a category not seen in training are allowed, and so are further
    columns (keys and the like), which are not read.
    """

    def __init__(self, signature: Signature) -> None:
        self._fields = signature.inputs
        self._names = signature.names
        self._take = _taker(self._names)
        self._good: set[tuple[type, ...]] = set()

    def read(self, rows: Sequence[Row]) -> list[Sequence[Any]]:
        """The values of each row in the signature's order. `Invalid` names the row, the field and what was found."""
        take, good = self._take, self._good
        found = []
        for number, row in enumerate(rows):
            try:
                values = take(row)
            except (KeyError, TypeError, IndexError) as error:
                raise self._unreadable(row, number) from error
            if tuple(map(type, values)) not in good:
                self._examine(values, number)
            found.append(values)
        return found

    def read_columns(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> list[Sequence[Any] | NDArray[Any]]:
        """Columns of equal length in the signature's order, checked value by value (arrays of numbers at once)."""
        missing = [name for name in self._names if name not in columns]
        if missing:
            raise Invalid(f"the column {missing[0]!r} is missing", where="columns", fix="Send every input of the model")
        found = [columns[name] for name in self._names]
        lengths = {len(column) for column in found}
        if len(lengths) > 1:
            raise Invalid(f"the columns have different lengths {sorted(lengths)}", where="columns")
        for field, column in zip(self._fields, found, strict=True):
            if not (isinstance(column, np.ndarray) and column.dtype.kind in _ARRAY_KINDS[field.kind]):
                for number, value in enumerate(column):
                    _check(field, value, number)
        return found

    def name_of(self, place: int) -> str:
        """The name of the input at a place."""
        return self._names[place]

    def _examine(self, values: Sequence[Any], number: int) -> None:
        lasting = [_check(field, value, number) for field, value in zip(self._fields, values, strict=True)]
        if all(lasting) and len(self._good) < _REMEMBERED:
            self._good.add(tuple(map(type, values)))

    def _unreadable(self, row: Any, number: int) -> Invalid:
        if not isinstance(row, Mapping):
            return Invalid(
                f"a row must name its fields, found {_describe(row)}",
                where=f"row {number}",
                fix=f"Send an object with the fields {', '.join(self._names)}",
            )
        name = next(name for name in self._names if name not in row)
        return Invalid(f"the field {name!r} is missing", where=f"row {number}", fix="Send it, or null if it is unknown")


class MatrixEncoder:
    """Rows or columns of a request as the model's matrix, checked on the way."""

    def __init__(self, signature: Signature, encoder: TableEncoder) -> None:
        if signature.names != encoder.names:
            raise Invalid("the encoder's columns are not the signature's inputs, in order", where="bundle")
        self._reader = RowReader(signature)
        self._width = len(encoder.columns)
        self._codes = [(place, encoder.columns[place].codes) for place in encoder.categorical]

    def encode(self, rows: Sequence[Row]) -> Matrix:
        """A matrix of shape (rows, columns). `Invalid` when a row does not fit the signature."""
        matrix = np.empty((len(rows), self._width))
        codes = self._codes
        for number, values in enumerate(self._reader.read(rows)):
            if codes:
                coded = list(values)
                for place, places in codes:
                    coded[place] = places[coded[place]]
                values = coded  # noqa: PLW2901 - the values as numbers take the place of the values as sent
            try:
                matrix[number] = values
            except OverflowError as error:
                raise Invalid("a number is too large", where=f"row {number}", fix="Send at most 1.7e308") from error
        return matrix

    def encode_columns(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Matrix:
        """The same from columns of equal length."""
        found = self._reader.read_columns(columns)
        matrix = np.empty((len(found[0]), self._width))
        codes = dict(self._codes)
        for place, column in enumerate(found):
            known = codes.get(place)
            try:
                matrix[:, place] = column if known is None else [known[value] for value in column]
            except OverflowError as error:
                where = f"column {self._reader.name_of(place)!r}"
                raise Invalid("a number is too large", where=where, fix="Send at most 1.7e308") from error
        return matrix


def _taker(names: tuple[str, ...]) -> Callable[[Row], Sequence[Any]]:
    if len(names) > 1:
        return itemgetter(*names)
    only = names[0]
    return lambda row: (row[only],)


_ARRAY_KINDS = {"number": "fiu", "integer": "iu", "boolean": "b", "category": "", "text": ""}
_EXPECTED = {"number": "a number", "integer": "a whole number", "boolean": "true or false", "text": "text"}


def _check(field: Field, value: Any, number: int) -> bool:
    """Refuses a wrong value. True when every value of this type is right for the field, so that it need not be looked at again."""
    if value is None:
        if field.nullable:
            return True
        raise Invalid(f"the field {field.name!r} must not be null", where=f"row {number}", fix="Send a value")
    kind = field.kind
    if kind == "category":
        # A column that had no category in training says nothing of the type that they should have.
        like = field.categories[0] if field.categories else value
        kind = "text" if isinstance(like, str) else "integer"
    if kind == "text":
        right = lasting = isinstance(value, str)
    elif kind == "boolean":
        right = lasting = isinstance(value, bool | np.bool_)
    elif isinstance(value, bool | np.bool_):
        right = lasting = False
    else:
        whole = isinstance(value, int | np.integer)
        right = whole or (isinstance(value, float | np.floating) and (kind == "number" or _is_whole(float(value))))
        lasting = whole or kind == "number"
    if not right:
        raise Invalid(
            f"the field {field.name!r} must be {_EXPECTED[kind]}, found {_describe(value)}",
            where=f"row {number}",
            fix="Send the type that the model was trained with",
        )
    return lasting


def _is_whole(value: float) -> bool:
    return value.is_integer() or math.isnan(value)


def _describe(value: Any) -> str:
    names = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}
    shown = repr(value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return f"{names.get(type(value), type(value).__name__)} {shown}"
