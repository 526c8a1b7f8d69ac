"""A packaged model that scores data frames: the runtime and the checks of the prediction service, for many rows."""

from collections.abc import Callable, Sequence

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

    def check(self, columns: Sequence[str], kept: Sequence[str]) -> None:
        """Refuses rows that cannot be scored.

        `Invalid`: an input or a column to keep is missing, or a column to keep bears the name of an answer.
        """
        for name in self._signature.names:
            if name not in columns:
                fix = f"The model takes {', '.join(self._signature.names)}"
                raise Invalid(f"there is no column {name!r}", where="rows", fix=fix)
        if strange := [name for name in kept if name not in columns]:
            raise Invalid(f"there is no column {strange[0]!r}", where="rows", fix=f"They have {', '.join(columns)}")
        if taken := [name for name in kept if name in self.added]:
            fix = "Rename it, or leave it out with --keep"
            raise Invalid(f"the rows have a column {taken[0]!r} already", where="rows", fix=fix)

    def answers(self, rows: pl.DataFrame, *, text: bool, first: int = 0) -> pl.DataFrame:
        """The columns of answers to these rows, in their order.

        binary: `prediction` (the label) and `probability` (of the second class); multiclass: `prediction` and
        `probability_LABEL` for each class; regression: `prediction`.

        Args:
            rows: the rows, with further columns or without.
            text: whether every column is text, as in a CSV file; blanks and marks such as `NA` are then missing.
            first: the number of the first row, for messages.

        Raises:
            Invalid: a value does not fit the signature; the message names its column and row.
        """
        inputs = rows.select(self._signature.names)
        if text:
            inputs = reading.without_marks(inputs)
        made = pl.DataFrame([_as_declared(inputs.get_column(f.name), f, first) for f in self._signature.inputs])
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


def _as_declared(column: pl.Series, field: Field, first: int) -> pl.Series:
    """The column in the type that the signature declares."""
    made = _CONVERSIONS[field.kind](column, field)
    strange = made.is_null() & column.is_not_null()
    if strange.any():
        place = int(strange.arg_true()[0])
        fix = "Mend it, or leave it empty if it is unknown"
        what = f"{column[place]!r} is not {_A[field.kind]}"
        raise Invalid(what, where=f"row {first + place}, column {field.name!r}", fix=fix)
    return made


_A = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "category": "a category",
    "text": "text",
}


def _number(column: pl.Series, field: Field) -> pl.Series:
    del field
    if column.dtype == pl.Boolean:
        raise Invalid("expected numbers, found true and false", where=f"column {column.name!r}", fix="Cast it first")
    return reading.as_numbers(column)


def _integer(column: pl.Series, field: Field) -> pl.Series:
    if column.dtype.is_integer():
        return column
    numbers = _number(column, field)
    return pl.select(pl.when(numbers == numbers.floor()).then(numbers)).to_series().cast(pl.Int64, strict=False)


def _boolean(column: pl.Series, field: Field) -> pl.Series:
    del field
    return reading.as_booleans(column)


def _category(column: pl.Series, field: Field) -> pl.Series:
    if field.categories and not isinstance(field.categories[0], str):
        return _integer(column, field)
    return column.cast(pl.String)


_CONVERSIONS: dict[str, Callable[[pl.Series, Field], pl.Series]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "category": _category,
    "text": _category,
}
