"""Reading tables from files as people keep them: marks for what is missing, blanks, numbers as text, times without a zone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl
import polars.selectors as cs

from kept.core.errors import Invalid, NotFound
from kept.data.delimited import read_delimited, separator_of

MISSING = ("?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A")
"""What stands for a missing value, beside blanks."""

_ISO = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
)
_UTC = pl.Datetime("us", "UTC")
_EPOCH = {"s": 1_000_000, "ms": 1_000, "us": 1}
_WHOLE = r"^[+-]?(0|[1-9]\d{0,17})$"


def read_table(
    path: str | Path,
    *,
    names: Sequence[str] = (),
    numbers: Iterable[str] = (),
    texts: Iterable[str] = (),
    booleans: Iterable[str] = (),
    times: Mapping[str, str] | Iterable[str] = (),
    missing: Iterable[str] = (),
) -> pl.DataFrame:
    """The rows of a CSV, Parquet or JSON file, in the types that are named.

    Blanks around texts are taken off; what is blank, and `?`, `NA`, `N/A`, `NaN` and `null`, is missing. Columns that are not
    named keep the type they have in the file; in CSV a column is whole numbers, numbers, true and false, or text, by its values.
    A name of a column that the file does not have is passed over: a file to predict need not hold the label.

    Args:
        path: the file; its ending says what it is (`.parquet`, `.json`, `.ndjson`, else text with separators).
        names: names of the columns of a text file whose first line does not say them.
        numbers: columns of numbers (float64).
        texts: columns of text, whatever their values look like.
        booleans: columns of true and false (or 1 and 0, yes and no).
        times: columns of moments: by name in ISO 8601; or name -> format (as for strptime, or `s`, `ms`, `us` since 1970).
            Without a zone they are taken for UTC.
        missing: further texts that stand for a missing value.

    Raises:
        NotFound: there is no such file.
        Invalid: it is not a whole file of its kind, or a value is not what its column should hold.
    """
    path = Path(path)
    frame = without_marks(read_raw(path, names=names), missing)
    formats = dict.fromkeys(times, "") if not isinstance(times, Mapping) else dict(times)
    decimal_comma = is_text(path) and separator_of(path) != ","
    numeric, textual, logical = set(numbers), set(texts), set(booleans)
    columns = []
    for column in frame.iter_columns():
        if column.name in numeric:
            made = as_numbers(column, decimal_comma=decimal_comma)
        elif column.name in textual:
            made = column.cast(pl.String)
        elif column.name in logical:
            made = as_booleans(column)
        elif column.name in formats:
            made = as_times(column, formats[column.name])
        else:
            made = as_it_looks(column) if is_text(path) else in_utc(column)
        strange = column.filter(made.is_null() & column.is_not_null())
        if len(strange):
            fix = f"Mend it, or say that it is missing: missing=[{strange[0]!r}]"
            raise Invalid(f"{strange[0]!r} is not {_kind(made.dtype)}", where=f"{path}, column {column.name}", fix=fix)
        columns.append(made)
    return pl.DataFrame(columns)


def read_raw(path: Path, *, names: Sequence[str] = (), header: bool = True) -> pl.DataFrame:
    """The rows of a file as they stand there: in a text file every column is text; categories are text everywhere."""
    if is_text(path):
        return read_delimited(path, names=names, header=header)
    if not path.is_file():
        raise NotFound("there is no such file", where=str(path), fix="Name a CSV, Parquet or JSON file")
    try:
        match path.suffix.lower():
            case ".parquet":
                frame = pl.read_parquet(path)
            case ".json":
                frame = pl.read_json(path)
            case _:
                frame = pl.read_ndjson(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        fix = "Check that it was written completely, and that its ending says what it is"
        raise Invalid(f"not readable ({str(error).splitlines()[0]})", where=str(path), fix=fix) from error
    return frame.with_columns(cs.categorical().cast(pl.String), cs.enum().cast(pl.String))


def is_text(path: Path) -> bool:
    """Whether a file is text with separators, by its ending."""
    return path.suffix.lower() not in {".parquet", ".json", ".ndjson", ".jsonl"}


def without_marks(frame: pl.DataFrame, missing: Iterable[str] = ()) -> pl.DataFrame:
    """Texts without blanks around them, and null where they are blank or stand for a missing value."""
    marks = pl.Series(["", *MISSING, *missing])
    text = pl.col(pl.String).str.strip_chars()
    return frame.with_columns(pl.when(~text.is_in(marks.implode())).then(text))


def as_numbers(column: pl.Series, *, decimal_comma: bool = False) -> pl.Series:
    """Numbers (float64); null where a value is none. A comma may stand for the point where it does not separate."""
    if column.dtype == pl.String and decimal_comma:
        column = column.str.replace(r"^([+-]?\d*),(\d+)$", "$1.$2")
    return column.cast(pl.Float64, strict=False)


def as_booleans(column: pl.Series) -> pl.Series:
    """True and false; null where a value is neither."""
    if column.dtype == pl.Boolean:
        return column
    words = column.cast(pl.String).str.to_lowercase()
    known = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}
    return words.replace_strict(known, default=None, return_dtype=pl.Boolean)


def as_times(column: pl.Series, form: str = "") -> pl.Series:
    """Moments in UTC; null where a value is none. Without a form: ISO 8601, or what the type says."""
    if form in _EPOCH:
        return (column.cast(pl.Float64, strict=False) * _EPOCH[form]).cast(pl.Int64, strict=False).cast(_UTC)
    if column.dtype.is_temporal():
        return in_utc(column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column)
    text = column.cast(pl.String)
    if form:
        zoned = "%z" in form or "%#z" in form
        found = text.str.to_datetime(form, time_unit="us", strict=False) if _has_hour(form) else _days(text, form)
        return found if zoned else found.dt.replace_time_zone("UTC")
    made = _days(text, "%Y-%m-%d").dt.replace_time_zone("UTC")
    for one in _ISO:
        if made.null_count() == column.null_count():
            break
        found = text.str.replace("Z$", "+00:00").str.to_datetime(one, time_unit="us", strict=False)
        made = made.fill_null(found if "z" in one else found.dt.replace_time_zone("UTC"))
    return made


def as_it_looks(column: pl.Series) -> pl.Series:
    """A column of text as whole numbers, numbers, or true and false, when all its values are."""
    if column.null_count() == len(column):
        return column
    if bool(column.str.contains(_WHOLE).all()):
        return column.cast(pl.Int64)
    # Digits behind a zero are a code, not a number.
    if not bool(column.str.contains(r"^0\d").any()):
        made = column.cast(pl.Float64, strict=False)
        if made.null_count() == column.null_count():
            return made
    if bool(column.str.to_lowercase().is_in(["true", "false"]).all()):
        return as_booleans(column)
    return column


def in_utc(column: pl.Series) -> pl.Series:
    """Moments without a zone are taken for UTC; other columns stay as they are."""
    if isinstance(column.dtype, pl.Datetime):
        column = column.dt.cast_time_unit("us")
        zone = column.dtype.time_zone  # type: ignore[attr-defined]
        return column.dt.replace_time_zone("UTC") if zone is None else column.dt.convert_time_zone("UTC")
    return column


def _has_hour(form: str) -> bool:
    return any(part in form for part in ("%H", "%I", "%T", "%R", "%s"))


def _days(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_date(form, strict=False).cast(pl.Datetime("us"))


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_temporal():
        return "a time"
    return {pl.Float64: "a number", pl.Boolean: "true or false"}.get(dtype.base_type(), "what the column should hold")
