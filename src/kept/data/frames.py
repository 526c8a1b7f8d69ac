"""Data frames from a project's functions: called, converted from any library, cast to the types that are stored."""

import inspect
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import polars as pl

from kept.core.clock import as_utc
from kept.core.errors import Invalid, KeptError

_SHOWN = 12
_REFUSED = (pl.Duration, pl.Time, pl.Object)


def call(function: Callable[..., Any], until: datetime | None, *, where: str) -> pl.DataFrame:
    """What the function gives, as a frame in stored types (see `stored_types`).

    Args:
        function: takes nothing, or `until: datetime | None`.
        until: the moment whose knowledge is asked for; None for all there is.
        where: the function's name for messages.

    Raises:
        Invalid: it raised, or did not give a frame, or a column has a type that cannot be stored.
    """
    arguments: dict[str, Any] = {}
    if "until" in inspect.signature(function).parameters:
        arguments["until"] = None if until is None else as_utc(until, where=where)
    try:
        given = function(**arguments)
        frame = to_frame(given, where=where)
    except (KeptError, MemoryError):
        raise
    except Exception as error:
        fix = "Mend the function; its own traceback stands above this message"
        raise Invalid(f"it raised {type(error).__name__}: {error}", where=where, fix=fix) from error
    return stored_types(frame, where=where)


def to_frame(given: Any, *, where: str) -> pl.DataFrame:
    """A polars frame from a polars, Arrow or pandas one; `Invalid` for anything else."""
    if isinstance(given, pl.DataFrame):
        return given
    if isinstance(given, pl.LazyFrame):
        return given.collect()
    if hasattr(given, "__dataframe__") and hasattr(given, "notna"):
        return _from_pandas(given)
    if hasattr(given, "__arrow_c_stream__") and not isinstance(given, pl.Series):
        return pl.DataFrame(given)
    found = "nothing" if given is None else type(given).__name__
    fix = "Return a polars DataFrame or LazyFrame (a pandas or Arrow table does, too)"
    raise Invalid(f"it gave {found}, not a frame", where=where, fix=fix)


def _from_pandas(given: Any) -> pl.DataFrame:
    try:
        # pandas has no null in columns of numbers: NaN stands for it.
        return pl.DataFrame(given).fill_nan(None)
    except ImportError:
        # Only columns of plain numbers convert without pyarrow, which need not be installed.
        columns = {str(name): column.astype(object).where(column.notna(), None) for name, column in given.items()}
        return pl.DataFrame([pl.Series(name, column.to_list(), strict=False) for name, column in columns.items()])


def stored_types(frame: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """The frame in the types that tables are stored in, so that equal content has equal types.

    Whole numbers become Int64, other numbers Float64, categories text, moments microseconds in UTC.
    """
    casts = [cast for name, dtype in frame.schema.items() if (cast := _stored(name, dtype, where)) is not None]
    if not casts:
        return frame
    try:
        return frame.with_columns(casts)
    except pl.exceptions.InvalidOperationError as error:
        fix = "Cast it to a type that Int64 or Float64 can hold"
        raise Invalid(f"a column cannot be stored ({_first_line(error)})", where=where, fix=fix) from error


def _stored(name: str, dtype: pl.DataType, where: str) -> pl.Expr | None:
    column = pl.col(name)
    if isinstance(dtype, _REFUSED):
        fix = "Make a number or text of it first, for example with .dt.total_seconds()"
        raise Invalid(f"column {name!r} is a {dtype}, which tables cannot hold", where=where, fix=fix)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            fix = f'Say which it is: pl.col("{name}").dt.replace_time_zone("UTC")'
            raise Invalid(f"column {name!r} holds times without a zone", where=where, fix=fix)
        same = dtype.time_zone == "UTC" and dtype.time_unit == "us"
        return None if same else column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if dtype.is_integer():
        return None if dtype == pl.Int64 else column.cast(pl.Int64)
    if dtype.is_float() or dtype.is_decimal():
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    return None


def need_columns(frame: pl.DataFrame, names: Iterable[str], *, where: str) -> None:
    """`Invalid` that names the columns which are not there, and those that are."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        shown = ", ".join(frame.columns[:_SHOWN]) + (", ..." if frame.width > _SHOWN else "")
        what = f"there is no column {missing[0]!r}" if len(missing) == 1 else f"there are no columns {missing}"
        raise Invalid(what, where=where, fix=f"It gives {shown}; add it, or correct the declaration")


def need_moments(frame: pl.DataFrame, names: Iterable[str], *, where: str) -> None:
    """`Invalid` when one of the columns does not hold moments with a zone."""
    for name in names:
        dtype = frame.schema[name]
        if dtype == pl.Null:
            raise Invalid(f"the time column {name!r} is empty", where=where, fix="Fill it, or declare another one")
        if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
            fix = f'Make moments of it: pl.col("{name}").cast(pl.Datetime).dt.replace_time_zone("UTC")'
            raise Invalid(f"the time column {name!r} holds {dtype}, not moments with a zone", where=where, fix=fix)


def as_known(
    frame: pl.DataFrame,
    until: datetime | None,
    *,
    event_time: str | None,
    label: str | None,
    label_known: pl.Expr | None,
) -> pl.DataFrame:
    """What of the frame was known at `until`: rows of later events are left out, labels known later are null.

    Args:
        frame: the rows.
        until: the moment, or None for all there is.
        event_time: column of the moment a row is about.
        label: column of the label.
        label_known: from when a row's label is known; null where it is not known yet.
    """
    if until is None or event_time is None:
        return frame
    moment = pl.lit(until.astimezone(UTC), dtype=pl.Datetime("us", "UTC"))
    frame = frame.filter(pl.col(event_time).is_null() | (pl.col(event_time) <= moment))
    if label is None or label_known is None:
        return frame
    return frame.with_columns(pl.when(label_known <= moment).then(pl.col(label)).alias(label))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
