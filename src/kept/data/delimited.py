"""Text files of rows and columns, read strictly: a row that is too short is an error, not a row of nulls."""

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from kept.core.errors import Invalid, NotFound

_SEPARATORS = (",", ";", "\t", "|")
# What people take for text, told by how it begins: that it is something else, and what to do.
_OTHER_FORMS = (
    (b"PK", "it is a zip archive, as files of Excel are", "Save the sheet as CSV, or unpack {0}"),
    (b"\x1f\x8b", "it is packed with gzip", "Unpack it: gunzip --keep {0}"),
    (b"PAR1", "it is a Parquet file", "Give {0} the ending .parquet"),
)
_AT_ONCE = 50_000
# The module's own limit, of the whole process, is 128 KiB; without any, a quote that is not closed would take in the file.
csv.field_size_limit(64 << 20)


def read_delimited(path: Path, *, names: Sequence[str] = (), header: bool = True) -> pl.DataFrame:
    """Every column as text, without blanks around the values; what is blank is null. Blank lines are left out.

    The separator is the one of comma, semicolon, tab and bar that divides the first line most.

    Args:
        path: the file, in UTF-8.
        names: the columns' names, when the file does not say them; a first line that says them, or some of them, is left out.
        header: whether the first line names the columns, where `names` does not.

    Raises:
        NotFound: there is no such file.
        Invalid: it is empty, or not UTF-8, or two columns have one name, or a row has too many or too few values.
    """
    rows = _rows(path, separator_of(path))
    said = _first(path, rows)
    # A line that holds nothing but these names is one of names, be it that some are left out.
    header = set(said) <= set(names) if names else header
    named = _names(path, said, [] if header else names, header=header)
    parts = [_frame([] if header else [said], named)]
    whole = _whole(path, rows, len(named))
    while batch := list(islice(whole, _AT_ONCE)):
        parts.append(_frame(batch, named))
    return pl.concat(parts)


def names_of(path: Path) -> list[str]:
    """The names that the first line says. Raises as `read_delimited` does."""
    return _names(path, _first(path, _rows(path, separator_of(path))), [], header=True)


def count_rows(path: Path) -> int:
    """How many rows stand below the line of names; each of them has been looked at. Raises as `read_delimited` does."""
    rows = _rows(path, separator_of(path))
    return sum(1 for _ in _whole(path, rows, len(_first(path, rows))))


def read_pieces(path: Path, start: int, size: int) -> Iterator[pl.DataFrame]:
    """What `read_delimited` gives of a file whose first line names the columns, from row `start` on, `size` rows at a time."""
    rows = _rows(path, separator_of(path))
    named = _names(path, _first(path, rows), [], header=True)
    whole = islice(_whole(path, rows, len(named)), start, None)
    while batch := list(islice(whole, size)):
        yield _frame(batch, named)


def separator_of(path: Path) -> str:
    """What stands between the values of the first line; a comma where nothing does."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            line = next((line for line in stream if line.strip()), "")
    except FileNotFoundError as error:
        raise NotFound("there is no such file", where=str(path), fix="Name a CSV or Parquet file") from error
    except IsADirectoryError as error:
        raise Invalid("it is a folder", where=str(path), fix="Name a file in it") from error
    except UnicodeDecodeError as error:
        raise _not_text(path, error) from error
    # Of equal counts the first wins.
    return max(_SEPARATORS, key=lambda one: len(next(csv.reader([line], delimiter=one, skipinitialspace=True), [])))


def _first(path: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    """The values of the first line."""
    _, first = next(rows, (0, []))
    if not first:
        raise Invalid("it is empty", where=str(path), fix="Check that it was written completely")
    return [value.strip() for value in first]


def _whole(path: Path, rows: Iterator[tuple[int, list[str]]], width: int) -> Iterator[list[str]]:
    """Rows that have so many values each."""
    for line, row in rows:
        if len(row) != width:
            what = f"it has {len(row)} values, the first line has {width}"
            fix = "Check that the file was written completely, and that texts with separators are quoted"
            raise Invalid(what, where=f"{path}, line {line}", fix=fix)
        yield row


def _names(path: Path, first: Sequence[str], names: Sequence[str], *, header: bool) -> list[str]:
    found = list(first) if header else list(names)
    if not found:
        found = [f"col_{place}" for place in range(1, len(first) + 1)]
    if len(found) != len(first):
        shown = ", ".join(first[:8]) + (", ..." if len(first) > 8 else "")
        what = f"{len(found)} names were given, the first line has {len(first)} values ({shown})"
        raise Invalid(what, where=str(path), fix="Give one name for each column, or put a line with the names first")
    found = [name or f"column_{place}" for place, name in enumerate(found, start=1)]
    twice = next((name for place, name in enumerate(found) if name in found[:place]), None)
    if twice is not None:
        raise Invalid(f"two columns are called {twice!r}", where=str(path), fix="Give each its own name")
    return found


def _rows(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    yield reader.line_num, row
        except UnicodeDecodeError as error:
            raise _not_text(path, error) from error
        except csv.Error as error:
            fix = "Check that the file was written completely, and that quotes are closed"
            raise Invalid(f"not readable ({error})", where=f"{path}, line {reader.line_num}", fix=fix) from error


def _not_text(path: Path, error: UnicodeDecodeError) -> Invalid:
    with path.open("rb") as stream:
        begin = stream.read(4)
    for sign, what, fix in _OTHER_FORMS:
        if begin.startswith(sign):
            return Invalid(what, where=str(path), fix=fix.format(path.name))
    fix = f"Convert it: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > new.csv"
    return Invalid(f"it is not UTF-8 text ({error.reason})", where=str(path), fix=fix)


def _frame(rows: list[list[str]], names: list[str]) -> pl.DataFrame:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    frame = pl.DataFrame([pl.Series(name, values, pl.String) for name, values in zip(names, columns, strict=True)])
    return frame.with_columns(pl.all().str.strip_chars()).with_columns(pl.all().replace("", None))
