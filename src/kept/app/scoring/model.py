"""A packaged model that scores data frames: the runtime and the checks of the prediction service, for many rows."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from kept.core.errors import Invalid
from kept.data import reading
from kept.packaging.frames import encode_frame
from kept.packaging.runtime import Answers, AnyRuntime
from kept.packaging.signature import Field


class Scorer:
    """Scores frames with one model."""

    def __init__(self, runtime: AnyRuntime) -> None:
        if runtime.manifest.signature.takes_tensors:
            fix = "Send them to its endpoint, as the Open Inference Protocol has it"
            raise Invalid("the model takes tensors, and a table of rows has none", where="model", fix=fix)
        self._runtime = runtime
        self._signature = runtime.manifest.signature
        self.added = self._names()

    def check(self, columns: Mapping[str, pl.DataType], kept: Sequence[str]) -> None:
        """Refuses rows that cannot be scored.

        `Invalid`: an input or a column to keep is missing, an input is of a type that cannot mean what the model takes, or a
        column to keep bears the name of an answer.
        """
        for field in self._signature.inputs:
            if field.name not in columns:
                fix = f"The model takes {', '.join(self._signature.names)}"
                raise Invalid(f"there is no column {field.name!r}", where="rows", fix=fix)
            if not _may_mean(columns[field.name], field):
                what = f"expected {_MANY[_meaning(field)]}, found {columns[field.name]}"
                raise Invalid(what, where=f"column {field.name!r}", fix="Cast it first")
        if strange := [name for name in kept if name not in columns]:
            raise Invalid(f"there is no column {strange[0]!r}", where="rows", fix=f"They have {', '.join(columns)}")
        if taken := [name for name in kept if name in self.added]:
            fix = "Rename it, or leave it out with --keep"
            raise Invalid(f"the rows have a column {taken[0]!r} already", where="rows", fix=fix)

    def answers(self, rows: pl.DataFrame, *, text: bool, decimal_comma: bool = False, first: int = 0) -> pl.DataFrame:
        """The columns of answers to these rows, in their order.

        binary: `prediction` (the label) and `probability` (of the second class); multiclass: `prediction` and
        `probability_LABEL` for each class; regression: `prediction`.

        Args:
            rows: the rows, with further columns or without.
            text: whether every column is text, as in a CSV file; blanks and marks such as `NA` are then missing.
            decimal_comma: whether a comma may stand for the point in numbers.
            first: the number of the first row, for messages.

        Raises:
            Invalid: a value does not fit the signature; the message names its column and row.
        """
        inputs = rows.select(self._signature.names)
        if text:
            inputs = reading.without_marks(inputs)
        made = pl.DataFrame(
            [_as_declared(inputs.get_column(f.name), f, first, comma=decimal_comma) for f in self._signature.inputs]
        )
        return self._columns(self._scores(made))

    def _scores(self, frame: pl.DataFrame) -> Answers:
        encoder = self._runtime.manifest.encoder
        if encoder is not None:
            return self._runtime.predict(encode_frame(frame, encoder))
        return self._runtime.predict_columns({column.name: column.to_list() for column in frame.iter_columns()})

    def _columns(self, scores: Answers) -> pl.DataFrame:
        classes = self._signature.classes
        if self._signature.task == "regression":
            return pl.DataFrame({"prediction": scores})
        if self._signature.task == "binary":
            chosen, columns = (scores > 0.5).astype(np.int64), [scores]
        else:
            chosen, columns = scores.argmax(axis=1), list(scores.T)
        labels = pl.Series("prediction", list(classes), strict=False).gather(chosen)
        return pl.DataFrame([labels, *map(pl.Series, self.added[1:], columns)])

    def _names(self) -> tuple[str, ...]:
        match self._signature.task:
            case "regression":
                return ("prediction",)
            case "binary":
                return ("prediction", "probability")
            case _:
                return ("prediction", *(f"probability_{label}" for label in self._signature.classes))


def _meaning(field: Field) -> str:
    """What kind of values a field has; those of categories that are whole numbers are that."""
    return "integer" if field.categories and not isinstance(field.categories[0], str) else field.kind


def _may_mean(dtype: pl.DataType, field: Field) -> bool:
    """Whether a column of this type can be read as what the field declares. Text can be: its values say what they are."""
    if dtype.base_type() in _TEXTS:
        return True
    match _meaning(field):
        case "number" | "integer":
            return dtype.is_numeric()
        case "boolean":
            return dtype.is_numeric() or dtype == pl.Boolean
        case _:
            # A number with a point has no text that everybody writes alike.
            return dtype.is_integer() or dtype == pl.Boolean


def _as_declared(column: pl.Series, field: Field, first: int, *, comma: bool) -> pl.Series:
    """The column in the type that the signature declares."""
    made = _CONVERSIONS[_meaning(field)](column, comma)
    strange = made.is_null() & column.is_not_null()
    if strange.any():
        place = int(strange.arg_true()[0])
        fix = "Mend it, or leave it empty if it is unknown"
        what = f"{column[place]!r} is not {_A[_meaning(field)]}"
        raise Invalid(what, where=f"row {first + place}, column {field.name!r}", fix=fix)
    return made


_A = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "category": "a category",
    "text": "text",
}


_MANY = {
    "number": "numbers",
    "integer": "whole numbers",
    "boolean": "true and false",
    "category": "categories",
    "text": "text",
}
# A Parquet file may have text without saying that it is text.
_TEXTS = {pl.String, pl.Categorical, pl.Enum, pl.Binary, pl.Null}


def _number(column: pl.Series, comma: bool) -> pl.Series:
    return reading.as_numbers(_as_text(column), decimal_comma=comma)


def _integer(column: pl.Series, comma: bool) -> pl.Series:
    if column.dtype.is_integer():
        return column
    numbers = _number(column, comma)
    return pl.select(pl.when(numbers == numbers.floor()).then(numbers)).to_series().cast(pl.Int64, strict=False)


def _boolean(column: pl.Series, _: bool) -> pl.Series:
    return reading.as_booleans(_as_text(column))


def _category(column: pl.Series, _: bool) -> pl.Series:
    return _as_text(column).cast(pl.String)


def _as_text(column: pl.Series) -> pl.Series:
    """Text where the column is some sort of text; else the column. `Invalid` when its bytes are none."""
    if column.dtype.base_type() not in _TEXTS:
        return column
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError as error:
        fix = "Cast it where it is made"
        raise Invalid(f"its bytes are no text ({error})", where=f"column {column.name!r}", fix=fix) from error


_CONVERSIONS: dict[str, Callable[[pl.Series, bool], pl.Series]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "category": _category,
    "text": _category,
}
