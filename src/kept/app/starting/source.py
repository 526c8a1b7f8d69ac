"""The file that a project starts from: its rows as they stand there, and whether its first line names the columns."""

import difflib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kept.core.errors import Invalid
from kept.data.reading import as_numbers, is_text, read_raw, without_marks

FEWEST_ROWS = 50


@dataclass(frozen=True)
class Source:
    """A file's rows as they stand there."""

    path: Path
    frame: pl.DataFrame
    """In a text file every column is text, and null where it is blank."""
    named_here: bool
    """Whether the names are not in the file, so that whoever reads it must say them."""
    header: str
    """What was taken for the header, for people."""


def open_source(path: Path, columns: tuple[str, ...] = (), *, header: bool | None = None) -> Source:
    """Reads the file whole.

    Args:
        path: a CSV, Parquet or JSON file.
        columns: names for the columns of a text file that does not say them.
        header: whether the first line names the columns; None to find out.

    Raises:
        NotFound: there is no such file.
        Invalid: it is not a whole file of its kind, or holds too few rows, or has names already.
    """
    if not is_text(path):
        if columns or header is False:
            fix = "Leave --columns and --no-header out"
            raise Invalid("a file of this kind names its columns itself", where=str(path), fix=fix)
        source = Source(path, read_raw(path), named_here=False, header="the file says the columns' names")
    else:
        source = _open_text(path, columns, header=header)
    if source.frame.height < FEWEST_ROWS:
        what = f"it has {source.frame.height} rows"
        fix = f"Give {FEWEST_ROWS} or more: some are held back for validation and test"
        raise Invalid(what, where=str(path), fix=fix)
    return source


def check_column(source: Source, name: str, option: str) -> None:
    """Refuses a column that the file does not have, with the names that come close."""
    names = source.frame.columns
    if name in names:
        return
    lower = {one.lower(): one for one in names}
    close = [lower[one] for one in difflib.get_close_matches(name.lower(), lower, n=3)]
    if close:
        fix = f"Did you mean {' or '.join(close)}?"
    else:
        fix = f"It has {', '.join(names[:20])}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    if source.named_here and names[0] == "col_1":
        first = ", ".join(str(value) for value in source.frame.row(0))
        fix = f"Its first line is a row ({first}), so the columns are {names[0]} to {names[-1]}; name them with --columns a,b,c"
    raise Invalid(f"there is no column {name!r}", where=f"{option} in {source.path}", fix=fix)


def _open_text(path: Path, columns: tuple[str, ...], *, header: bool | None) -> Source:
    lines = read_raw(path, header=False)
    if columns and len(columns) != lines.width:
        shown = ", ".join(str(value) for value in lines.row(0))
        what = f"--columns gives {len(columns)} names, the file has {lines.width} columns ({shown})"
        raise Invalid(what, where=str(path), fix="Give one name for each column, in order")
    if header is None:
        header, why = (False, "") if columns and list(columns) != list(lines.row(0)) else _looks_like_header(lines)
    else:
        why = "as you said"
    if header:
        if columns and list(columns) != list(lines.row(0)):
            fix = "Leave --columns out"
            raise Invalid("the file has a line of names already", where=str(path), fix=fix)
        return Source(path, read_raw(path), named_here=False, header=f"the first line names the columns ({why})")
    names = list(columns) or lines.columns
    given = f"called {names[0]} to {names[-1]}" if not columns else "as named on the command line"
    why = why or "the names are given"
    frame = read_raw(path, names=names)
    return Source(path, frame, named_here=True, header=f"the first line is a row ({why}); columns are {given}")


def _looks_like_header(lines: pl.DataFrame) -> tuple[bool, str]:
    """Whether the first line names the columns: names are texts above numbers, or not among the values below them."""
    first, rest = lines.row(0), without_marks(lines.slice(1))
    if rest.is_empty():
        return True, "there is no other"
    named = [value for value in first if value is not None]
    if len(set(named)) < len(named) or len(named) < len(first) - 1:
        return False, "its values are not names that differ"
    if list(first[-2:]) in ([str(lines.width - 2), str(lines.width - 1)], [str(lines.width - 1), str(lines.width)]):
        return True, "it counts the columns"
    numeric = [
        name for name in rest.columns if _share_of_numbers(rest.get_column(name)) > 0.9 and lines.get_column(name)[0]
    ]
    above = [as_numbers(lines.get_column(name).head(1))[0] is not None for name in numeric]
    if numeric:
        if any(above):
            return False, f"{first[lines.columns.index(numeric[above.index(True)])]!r} stands above numbers"
        return True, "texts stand above numbers"
    again = sum(value in set(rest.get_column(name)) for name, value in zip(lines.columns, first, strict=True))
    return (False, "its values come again below") if again else (True, "its values do not come again below")


def _share_of_numbers(column: pl.Series) -> float:
    values = column.drop_nulls().head(2_000)
    return as_numbers(values, decimal_comma=True).count() / len(values) if len(values) else 0.0
