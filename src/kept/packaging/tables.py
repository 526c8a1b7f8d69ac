"""A table as the matrix of an export: for estimators that choose columns by name themselves."""

from typing import Any

import numpy as np
import polars as pl

from kept.core.errors import Invalid
from kept.packaging.encoding import Column, TableEncoder
from kept.packaging.exporters.columns import words_of
from kept.packaging.manifest import Limits
from kept.packaging.rows import Matrix
from kept.packaging.signature import Signature
from kept.packaging.sklearn_model import as_table

_BEYOND_INT64 = 2.0**63
# No training data knows this text: it stands for all texts that a model does not know.
_UNSEEN = "\0never seen"


class TableCodes:
    """How the columns of an estimator's table become numbers, and how such numbers become a table again.

    Numbers and booleans stay as they are. A text becomes its place among those that the estimator knows; one that it does
    not know is told apart from one that is missing, as scikit-learn's encoders do.

    Raises:
        Invalid: the estimator was trained on other columns, or on categories that are not text.
    """

    def __init__(self, estimator: Any, signature: Signature, schema: dict[str, pl.DataType]) -> None:
        if tuple(getattr(estimator, "feature_names_in_", ())) != signature.names:
            raise Invalid("it does not say that it was trained on these columns, in this order")
        known = words_of(estimator)
        columns = []
        for place, field in enumerate(signature.inputs):
            if field.kind != "category":
                columns.append(Column(name=field.name, kind=_KINDS[field.kind]))
                continue
            if any(not isinstance(category, str) for category in field.categories):
                raise Invalid(f"the categories of {field.name!r} are not text")
            # A text that an Enum does not list becomes null on its way into the table.
            apart = not isinstance(schema[field.name], pl.Enum)
            texts = tuple(known.get(place, ()))
            columns.append(Column(name=field.name, kind="category", categories=texts, unseen_apart=apart))
        self.encoder = TableEncoder(columns=tuple(columns))
        self.words = {place: self._texts(place) for place in self.encoder.categorical}
        self._schema = schema

    def table(self, matrix: Matrix) -> pl.DataFrame:
        """The table that the encoder makes this matrix of; codes that do not exist become an unknown text."""
        columns: dict[str, list[Any]] = {}
        for column, values in zip(self.encoder.columns, matrix.T, strict=True):
            given = [
                None if missing else value for value, missing in zip(values.tolist(), np.isnan(values), strict=True)
            ]
            columns[column.name] = [None if value is None else _value(column, value) for value in given]
        return as_table(columns, self._schema)

    def possible(self, matrix: Matrix) -> Matrix:
        """Its rows that a request can lead to: whole numbers where there are no others, 0 and 1, codes that exist."""
        good = np.ones(len(matrix), dtype=bool)
        for column, values in zip(self.encoder.columns, matrix.T, strict=True):
            if column.kind == "integer":
                good &= np.isnan(values) | ((values == np.floor(values)) & (np.abs(values) < _BEYOND_INT64))
            elif column.kind == "boolean":
                good &= np.isnan(values) | np.isin(values, (0.0, 1.0))
            elif column.kind == "category" and not column.unseen_apart:
                good &= np.isnan(values) | ((values >= 0) & (values < len(column.categories)))
        return matrix[good]

    def widened(self, limits: Limits) -> Limits:
        """The limits with every text allowed that the estimator knows, also those that the sample does not show."""
        largest = list(limits.largest)
        for place, texts in self.words.items():
            if largest[place] is not None:
                largest[place] = float(max(len(texts) - 1, 0))
        return Limits(missing=limits.missing, largest=tuple(largest))

    def _texts(self, place: int) -> tuple[str, ...]:
        return tuple(str(text) for text in self.encoder.columns[place].categories)


_KINDS: dict[str, Any] = {"number": "number", "integer": "integer", "boolean": "boolean", "text": "category"}


def _value(column: Column, number: float) -> Any:
    if column.kind == "category":
        place = int(number) if number.is_integer() else -1
        return column.categories[place] if 0 <= place < len(column.categories) else _UNSEEN
    if column.kind == "integer":
        if not number.is_integer() or abs(number) >= _BEYOND_INT64:
            raise Invalid("a whole number is wanted", where=f"column {column.name!r}")
        return int(number)
    if column.kind == "boolean":
        if number not in {0.0, 1.0}:
            raise Invalid("true or false is wanted", where=f"column {column.name!r}")
        return bool(number)
    return number
