"""Where scores go, piece by piece: what was written once is not written again when scoring is taken up."""

import shutil
from pathlib import Path
from typing import Protocol

import msgspec
import polars as pl

from kept.core.errors import Conflict, Invalid
from kept.core.flushing import flush
from kept.store.tables import DeltaTables

_JOB = "job.json"


class Sink(Protocol):
    """Takes scored rows in order."""

    def done(self) -> int:
        """How many rows of this job are kept already."""
        ...

    def write(self, rows: pl.DataFrame, end: int) -> None:
        """Keeps rows; `end` is the number of rows of the job that are kept then."""
        ...

    def finish(self) -> None:
        """Makes the result whole, at once."""
        ...


def sink_for(path: Path, job: str, *, overwrite: bool) -> Sink:
    """The sink for a path: a `.parquet` or `.csv` file, or, without an ending, a Delta table.

    Args:
        path: where scores go.
        job: names these rows and this model: only the same job is taken up where it stopped.
        overwrite: whether what is there may be replaced (of a Delta table: whether its rows may).

    Raises:
        Conflict: something is there, and it may not be replaced.
        Invalid: the ending is another.
    """
    if path.suffix.lower() in {".parquet", ".csv"}:
        if path.exists() and not overwrite:
            fix = "Name another file, or replace it with --overwrite"
            raise Conflict("it is there already", where=str(path), fix=fix)
        return FileSink(path, job)
    if path.suffix:
        fix = "End it in .parquet or .csv; without an ending it becomes a Delta table"
        raise Invalid(f"scores cannot be written as {path.suffix}", where=str(path), fix=fix)
    return DeltaSink(path, job, overwrite=overwrite)


class FileSink:
    """One file, put together at the end of parts that lie beside it; it is there whole or not at all."""

    def __init__(self, path: Path, job: str) -> None:
        self._path = path
        self._parts = path.with_name(f".{path.name}.parts")
        marker = self._parts / _JOB
        if not marker.is_file() or msgspec.json.decode(marker.read_bytes()) != job:
            shutil.rmtree(self._parts, ignore_errors=True)
            self._parts.mkdir(parents=True)
            _put(marker, msgspec.json.encode(job))

    def done(self) -> int:
        """Rows of the parts that were finished."""
        return max((int(part.stem) for part in self._parts.glob("*.parquet")), default=0)

    def write(self, rows: pl.DataFrame, end: int) -> None:
        """Keeps a part under the number of rows that are kept with it."""
        part = self._parts / f"{end:015}.parquet"
        fresh = part.with_suffix(".new")
        rows.write_parquet(fresh)
        fresh.replace(part)

    def finish(self) -> None:
        """Puts the parts together, then takes them away."""
        fresh = self._parts / "whole.new"
        rows = pl.scan_parquet(sorted(self._parts.glob("*.parquet")))
        if self._path.suffix.lower() == ".csv":
            rows.sink_csv(fresh)
        else:
            rows.sink_parquet(fresh)
        flush(fresh)
        fresh.replace(self._path)
        flush(self._path.parent)
        shutil.rmtree(self._parts)


class DeltaSink:
    """A Delta table: each piece is one commit, made once, so that readers see whole pieces as they come."""

    def __init__(self, path: Path, job: str, *, overwrite: bool) -> None:
        path = path.resolve()
        self._tables, self._name, self._job = DeltaTables(path.parent), path.name, job
        self._replace = overwrite and self._tables.last(self._name, job) is None

    def done(self) -> int:
        """Rows of the pieces that were committed."""
        return self._tables.last(self._name, self._job) or 0

    def write(self, rows: pl.DataFrame, end: int) -> None:
        """Commits a piece."""
        if self._replace and self._tables.version(self._name) is not None:
            self._tables.replace(self._name, rows.clear())
        self._replace = False
        self._tables.append(self._name, rows, once=(self._job, end))

    def finish(self) -> None:
        """Every piece is there already."""


def _put(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)
