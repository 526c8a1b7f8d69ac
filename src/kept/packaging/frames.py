"""Encoders and signatures from data frames. Training's side: serving never imports this module."""

import math
from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.encoding import Column, TableEncoder
from kept.packaging.signature import Category, Field, Label, Signature, Task


def fit_encoder(
    frame: pl.DataFrame,
    columns: Sequence[str] | None = None,
    *,
    categorical: Collection[str] = (),
    max_categories: int | None = 255,
) -> TableEncoder:
    """The encoder for a training frame.

    Args:
        frame: the training rows.
        columns: the columns to use, in order; all of them when not given.
        categorical: integer columns to treat as categories. Columns of text and of polars' categorical types always are.
        max_categories: how many categories to keep for a column, the most frequent first (ties by name); the rest is
            encoded as missing. 255 is what scikit-learn's histogram boosting takes.

    Raises:
        Invalid: a column is not there, or has a type that cannot be encoded (times, lists, structs).
    """
    names = list(frame.columns if columns is None else columns)
    return TableEncoder(
        columns=tuple(_fit_column(_series(frame, name), name in categorical, max_categories) for name in names)
    )


def encode_frame(frame: pl.DataFrame, encoder: TableEncoder) -> NDArray[np.float64]:
    """The frame's columns as a C-contiguous matrix of shape (rows, columns): what `MatrixEncoder` makes of the same rows."""
    matrix = np.empty((frame.height, len(encoder.columns)))
    for place, column in enumerate(encoder.columns):
        matrix[:, place] = _encode(_series(frame, column.name), column)
    return matrix


def infer_signature(
    frame: pl.DataFrame, columns: Sequence[str], *, task: Task, classes: Sequence[Label] = ()
) -> Signature:
    """The signature that the training frame's columns show: kinds, nulls, ranges, categories."""
    encoder = fit_encoder(frame, columns, max_categories=None)
    return signature_of(frame, encoder, task=task, classes=classes)


def signature_of(frame: pl.DataFrame, encoder: TableEncoder, *, task: Task, classes: Sequence[Label] = ()) -> Signature:
    """The signature of a model that is trained on the frame through the encoder.

    Every field may be null: what was complete in training can go missing in production, and then it is the model
    that decides (its bundle records which columns it answers for when they are missing).
    """
    return Signature(
        inputs=tuple(_field(_series(frame, column.name), column) for column in encoder.columns),
        task=task,
        classes=tuple(classes),
    )


def _series(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        raise Invalid(f"there is no column {name!r}", where="frame", fix=f"It has {', '.join(frame.columns)}")
    return frame.get_column(name)


def _fit_column(series: pl.Series, wanted: bool, max_categories: int | None) -> Column:
    kind = _kind(series)
    if kind == "integer" and wanted:
        kind = "category"
    if wanted and kind != "category":
        raise Invalid(f"a {series.dtype} column has no categories", where=f"column {series.name!r}", fix="Make it text")
    if kind != "category":
        return Column(name=series.name, kind=kind)
    return Column(name=series.name, kind="category", categories=_categories(series, max_categories))


def _kind(series: pl.Series) -> Literal["number", "integer", "boolean", "category"]:
    if series.dtype.is_integer():
        return "integer"
    if series.dtype.is_numeric() or series.dtype == pl.Null:
        return "number"
    if series.dtype == pl.Boolean:
        return "boolean"
    if series.dtype.base_type() in {pl.String, pl.Categorical, pl.Enum}:
        return "category"
    raise Invalid(
        f"a column of {series.dtype} cannot be encoded",
        where=f"column {series.name!r}",
        fix="Make numbers, booleans or text of it first",
    )


def _categories(series: pl.Series, limit: int | None) -> tuple[Category, ...]:
    counted = _plain(series).drop_nulls().value_counts(name="times")
    if limit is not None and counted.height > limit:
        counted = counted.sort("times", series.name, descending=[True, False]).head(limit)
    return tuple(counted.get_column(series.name).sort())


def _plain(series: pl.Series) -> pl.Series:
    return series if series.dtype.is_integer() else series.cast(pl.String)


def _encode(series: pl.Series, column: Column) -> NDArray[np.float64]:
    if column.kind == "category":
        if not column.categories:
            return np.where(series.is_null(), math.nan, column.unseen)
        plain = _plain(series)
        numbers = not isinstance(column.categories[0], str)
        if numbers != plain.dtype.is_integer():
            raise Invalid(
                f"the categories are {'whole numbers' if numbers else 'text'}, found {series.dtype}",
                where=f"column {column.name!r}",
                fix="Give the column the type it had when the encoder was fitted",
            )
        places = np.arange(len(column.categories), dtype=np.float64)
        codes = plain.replace_strict(
            list(column.categories), places, default=column.unseen, return_dtype=pl.Float64
        ).to_numpy()
        return np.where(plain.is_null(), math.nan, codes)
    found = _kind(series)
    if (found == "boolean") != (column.kind == "boolean") or found == "category":
        raise Invalid(
            f"expected {column.kind}, found {series.dtype}", where=f"column {column.name!r}", fix="Cast it first"
        )
    return series.cast(pl.Float64).to_numpy()


def _field(series: pl.Series, column: Column) -> Field:
    if column.kind == "category":
        return Field(name=column.name, kind="category", categories=column.categories)
    low, high = _range(series) if column.kind != "boolean" else (None, None)
    return Field(name=column.name, kind=column.kind, minimum=low, maximum=high)


def _range(series: pl.Series) -> tuple[float | None, float | None]:
    numbers = series.cast(pl.Float64)
    finite = numbers.filter(numbers.is_finite())
    if finite.is_empty():
        return None, None
    values = finite.to_numpy()
    return float(values.min()), float(values.max())
