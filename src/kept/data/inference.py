"""Inferring a contract from a frame.

What is inferred is meant to catch errors, not change: distributions move, and that is for monitoring to see. So a limit
stands ten widths beyond what was observed, which sentinels (-999, 1e30) and slipped units cross and trends do not, and
a column is required only when enough rows without a null were seen.
"""

import math
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

import polars as pl

from kept.core.clock import format_time
from kept.data.contract import ColumnContract, Kind, TableContract, Value

WIDTHS = 10
"""How many widths of the observed range the limits stand beyond it."""
ENOUGH_ROWS = 300
"""Rows without a null after which a column counts as required: by the rule of three, fewer than 1% of the rows to come
will be null, with 95% confidence."""
FEW = 50
"""Most texts that a column may take to be held to them as categories."""
_EXACT_ROWS = 100_000
"""Rows up to which distinct values are counted exactly; beyond, the count may be off by a tenth."""


def infer(
    frame: pl.DataFrame,
    name: str,
    *,
    key: tuple[str, ...] = (),
    required: Collection[str] = (),
    free: Collection[str] = (),
) -> TableContract:
    """The contract that the frame shows.

    Args:
        frame: rows in stored types.
        name: the table's name.
        key: columns that together name a row.
        required: columns in which every row must have a value, whatever was observed.
        free: columns that are never required and have no limits, whatever was observed (a label not yet known).
    """
    if not frame.width:
        return TableContract(name=name, key=key, columns=())
    facts = frame.lazy().select(_facts(frame.schema, exact=frame.height <= _EXACT_ROWS)).collect().row(0, named=True)
    columns = [
        _column(frame.get_column(one), facts, required=one in {*key, *required}, free=one in {*key, *free})
        for one in frame.columns
    ]
    return TableContract(name=name, key=key, columns=tuple(columns), rows=frame.height)


def kind_of(dtype: pl.DataType) -> Kind:
    """What values of a polars type are, in the words of contracts."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, pl.List | pl.Array):
        return "array"
    plain: dict[Any, Kind] = {
        pl.Boolean: "boolean",
        pl.String: "string",
        pl.Datetime: "timestamp",
        pl.Date: "date",
        pl.Struct: "object",
        pl.Binary: "binary",
        pl.Null: "unknown",
    }
    return plain[dtype.base_type()]


def _facts(schema: pl.Schema, *, exact: bool) -> list[pl.Expr]:
    facts: list[pl.Expr] = []
    for name, dtype in schema.items():
        column = pl.col(name).fill_nan(None) if dtype.is_float() else pl.col(name)
        facts.append(column.null_count().alias(f"{name}\0nulls"))
        if not dtype.is_nested() and dtype not in {pl.Null, pl.Binary}:
            values = column.drop_nulls()
            facts.append((values.n_unique() if exact else values.approx_n_unique()).alias(f"{name}\0distinct"))
        if dtype.is_numeric() or dtype.is_temporal():
            finite = column.filter(column.is_finite()) if dtype.is_float() else column
            facts += [finite.min().alias(f"{name}\0low"), finite.max().alias(f"{name}\0high")]
    return facts


def _column(series: pl.Series, facts: dict[str, Any], *, required: bool, free: bool) -> ColumnContract:
    name, rows, kind = series.name, len(series), kind_of(series.dtype)
    nulls, distinct = facts[f"{name}\0nulls"], facts.get(f"{name}\0distinct", 0)
    low, high = facts.get(f"{name}\0low"), facts.get(f"{name}\0high")
    values = rows - nulls
    # The count may be approximate; where it decides, the exact one is taken.
    identifier = kind in {"integer", "string"} and values > FEW and distinct >= 0.7 * values
    if identifier:
        distinct = series.drop_nulls().n_unique()
        identifier = distinct == values
    minimum, maximum = (None, None) if identifier or free or kind not in {"integer", "number"} else limits(low, high)
    return ColumnContract(
        name=name,
        kind=kind,
        required=required or (not free and nulls == 0 and rows >= ENOUGH_ROWS),
        minimum=minimum,
        maximum=maximum,
        categories=_categories(series, distinct) if kind == "string" and not identifier else None,
        null_rate=nulls / rows if rows else 0.0,
        lowest=_plain(low),
        highest=_plain(high),
        distinct=distinct,
        identifier=identifier,
        constant=values > 1 and distinct == 1,
    )


def limits(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """The limits that stand around an observed range: ten widths beyond it on both sides.

    Where the range is narrower than the numbers are large (a year, a constant), the largest of them is the width.
    """
    if low is None or high is None:
        return None, None
    room = WIDTHS * max(float(high) - float(low), abs(float(low)), abs(float(high)), 1.0)
    below, above = float(low) - room, float(high) + room
    return (below if math.isfinite(below) else None), (above if math.isfinite(above) else None)


def _categories(series: pl.Series, distinct: int) -> tuple[str, ...] | None:
    # With one value or two rows each, texts are names rather than categories.
    if not 0 < distinct <= FEW or 2 * distinct > len(series):
        return None
    return tuple(series.drop_nulls().unique().sort())


def _plain(value: Any) -> Value | None:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, date):
        return value.isoformat()
    plain: Value | None = value
    return plain
