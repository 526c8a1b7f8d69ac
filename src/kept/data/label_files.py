"""Importing labels from a file: validated as a whole before any is recorded, and idempotent."""

import csv
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from kept.core.clock import as_utc, parse_time
from kept.core.digests import digest_file, digest_json
from kept.core.errors import Invalid
from kept.data.label import LabelEntry, label_text
from kept.data.labels import ImportLabels, RecordedRows

_BATCH = 5_000


class LabelColumns(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns of a file say what. Of `prediction_id` and `key` one is there."""

    value: str
    prediction_id: str | None = None
    key: str | None = None
    known_at: str | None = None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """How many labels the file holds, and how many of them were new."""

    rows: int
    recorded: int
    before: int
    """The sequence of the endpoint's newest label before those that were new."""


def import_file(
    path: Path,
    endpoint: str,
    send: Callable[[ImportLabels], RecordedRows],
    *,
    value: str = "label",
    prediction_id: str | None = None,
    key: str | None = None,
    known_at: str | None = None,
) -> Imported:
    """Records the labels of a CSV or Parquet file.

    A file that was recorded already adds nothing; one that was interrupted goes on where it stopped.

    Args:
        path: the file.
        endpoint: the endpoint whose predictions they are labels of.
        send: records some rows: the operation `labels.import`, here or on a server.
        value: column of the label.
        prediction_id: column of the prediction's id; a column of that name is found by itself.
        key: column of the key, where labels do not name predictions; a column of that name is found by itself.
        known_at: column of the event time from which the label is known; a column of that name is found by itself.

    Raises:
        Invalid: something is wrong with the file; a wrong row is named by its line, and none is recorded.
    """
    columns = _columns(path, value, prediction_id, key, known_at)
    total, numeric = _validated(path, columns)
    digest = digest_json([digest_file(path), endpoint, columns])

    def batch(first: int, labels: list[LabelEntry]) -> RecordedRows:
        return send(ImportLabels(endpoint=endpoint, digest=digest, file=path.name, first=first, labels=labels))

    begun = done = batch(0, [])
    entries = (_entry(row, columns, place, numeric=numeric) for place, row in _rows(path))
    remaining = islice(entries, begun.recorded, None)
    while labels := list(islice(remaining, _BATCH)):
        done = batch(done.recorded, labels)
    return Imported(rows=total, recorded=done.recorded - begun.recorded, before=begun.before)


def _columns(path: Path, value: str, prediction_id: str | None, key: str | None, known_at: str | None) -> LabelColumns:
    names = _header(path)
    if prediction_id is None and key is None:
        prediction_id = "prediction_id" if "prediction_id" in names else None
        key = "key" if prediction_id is None and "key" in names else None
    if known_at is None and "known_at" in names:
        known_at = "known_at"
    for name in (value, prediction_id, key, known_at):
        if name is not None and name not in names:
            fix = f"It has {', '.join(names)}; name the right one"
            raise Invalid(f"there is no column {name!r}", where=str(path), fix=fix)
    if (prediction_id is None) == (key is None):
        fix = f"Name one column, of the prediction's id or of the key; it has {', '.join(names)}"
        raise Invalid("it is not clear what the labels are of", where=str(path), fix=fix)
    return LabelColumns(value=value, prediction_id=prediction_id, key=key, known_at=known_at)


def _validated(path: Path, columns: LabelColumns) -> tuple[int, bool]:
    """The number of rows, each of them a label, and whether all labels are numbers."""
    total, refused, numeric = 0, 0, True
    first: Invalid | None = None
    for place, row in _rows(path):
        total += 1
        try:
            _entry(row, columns, place, numeric=False)
        except Invalid as error:
            first, refused = first or error, refused + 1
        else:
            numeric = numeric and _is_number(row[columns.value])
    if first is not None:
        what = f"{first.what} ({refused:,} of {total:,} rows are refused, and so none is recorded)"
        raise Invalid(what, where=first.where, fix=first.fix) from first
    if not total:
        raise Invalid("it has no rows", where=str(path), fix="Check that it was written completely")
    return total, numeric


def _entry(row: dict[str, Any], columns: LabelColumns, place: str, *, numeric: bool) -> LabelEntry:
    value = row[columns.value]
    label_text(value, where=f"{place}, column {columns.value}")
    named = columns.prediction_id or columns.key or ""
    target = row[named]
    if target is None or not str(target).strip():
        raise Invalid("it does not say what it is a label of", where=f"{place}, column {named}", fix="Fill it")
    moment = row[columns.known_at] if columns.known_at else None
    return LabelEntry(
        value=float(value) if numeric and isinstance(value, str) else value,
        prediction_id=str(target) if columns.prediction_id else None,
        key=None if columns.prediction_id else str(target),
        known_at=None if moment is None else _moment(moment, f"{place}, column {columns.known_at}"),
    )


def _moment(value: Any, where: str) -> datetime | None:
    if isinstance(value, datetime):
        return as_utc(value, where=where)
    return parse_time(str(value), where=where) if str(value).strip() else None


def _is_number(value: Any) -> bool:
    """Whether it is a number as files write them; `inf` is a text, as it is no label as a number."""
    try:
        return math.isfinite(float(value)) and "_" not in str(value)
    except ValueError:
        return False


def _header(path: Path) -> list[str]:
    if not path.is_file():
        raise Invalid("there is no such file", where=str(path), fix="Give the path of a CSV or Parquet file")
    if path.suffix.lower() == ".parquet":
        return _scan(path).collect_schema().names()
    with path.open(newline="", encoding="utf-8-sig") as stream:
        header = next(csv.reader(stream), None)
    if not header:
        raise Invalid("it is empty", where=str(path), fix="Write a line with the names of the columns first")
    return header


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file's rows, each with its place for messages."""
    if path.suffix.lower() == ".parquet":
        at = 0
        for piece in _scan(path).collect_batches(chunk_size=_BATCH, maintain_order=True):
            for row in piece.iter_rows(named=True):
                at += 1
                yield f"{path}, row {at}", row
        return
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, strict=True)
        names = next(reader)
        try:
            for fields in reader:
                if not fields:
                    continue
                place = f"{path}, line {reader.line_num}"
                if len(fields) != len(names):
                    what = f"it has {len(fields)} fields, the header has {len(names)}"
                    raise Invalid(what, where=place, fix="Check that the file was written completely")
                yield place, dict(zip(names, fields, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            fix = "Write it as UTF-8 CSV"
            raise Invalid(f"not readable ({error})", where=f"{path}, after line {reader.line_num}", fix=fix) from error


def _scan(path: Path) -> pl.LazyFrame:
    try:
        rows = pl.scan_parquet(path)
        rows.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        fix = "Check that it was written completely"
        raise Invalid(f"not a Parquet file ({str(error).splitlines()[0]})", where=str(path), fix=fix) from error
    return rows
