"""Where scores go, piece by piece: what was written once is not written again when scoring is taken up."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import polars as pl

from kept.core.errors import Conflict, Invalid, KeptError, Unavailable
from kept.core.flushing import flush
from kept.core.ids import new_id
from kept.store.process_lock import Exclusive
from kept.store.tables import DeltaTables

_JOB = "job.json"
_LOCK = "lock"
# Readers of Delta pass over what begins so.
_SCORING = "_scoring.json"
_SCORING_LOCK = "_scoring.lock"


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

    def close(self) -> None:
        """Lets others score to there."""
        ...


def sink_for(
    path: Path, job: str, columns: Mapping[str, pl.DataType], *, overwrite: bool, former: str | None = None
) -> Sink:
    """The sink for a path: a `.parquet` or `.csv` file, or, without an ending, a Delta table.

    Args:
        path: where scores go.
        job: names these rows and this model: only the same job is taken up where it stopped.
        columns: the columns that are kept beside the answers.
        overwrite: whether what is there may be replaced (of a Delta table: whether its rows may).
        former: the name that the same job had before tables were marked with the job that wrote to them.

    Raises:
        Conflict: something is there, and it may not be replaced; or another process scores to there.
        Invalid: the ending is another, or a CSV file cannot hold one of the columns.
        Unavailable: nothing can be written there.
    """
    if path.suffix.lower() in {".parquet", ".csv"}:
        if path.is_dir():
            raise Conflict("it is a folder", where=str(path), fix="Name another file")
        if path.exists() and not overwrite:
            fix = "Name another file, or replace it with --overwrite"
            raise Conflict("it is there already", where=str(path), fix=fix)
        for name, dtype in columns.items():
            if path.suffix.lower() == ".csv" and (dtype.is_nested() or dtype in _NOT_IN_CSV):
                fix = "Score to a .parquet file, or leave the column out with --keep"
                raise Invalid(f"a CSV file cannot hold a column of {dtype}", where=f"column {name!r}", fix=fix)
        return FileSink(path, job)
    if path.is_file():
        raise Conflict("it is a file, and no Delta table", where=str(path), fix="Name another folder")
    if path.suffix:
        fix = "End it in .parquet or .csv; without an ending it becomes a Delta table"
        raise Invalid(f"scores cannot be written as {path.suffix}", where=str(path), fix=fix)
    return DeltaSink(path, job, overwrite=overwrite, former=former)


_NOT_IN_CSV = (pl.Binary, pl.Duration, pl.Object)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What goes wrong in here is told as what it means: `Unavailable`, and what was kept before stays for the next try."""
    try:
        yield
    except KeptError:
        raise
    except Exception as error:  # the libraries tell a full disk, and a type that a table cannot hold, as anything
        said = next(iter(str(error).splitlines()), type(error).__name__)
        fix = "Make room, or leave out with --keep what cannot be held there; begun again, it goes on where it stopped"
        raise Unavailable(f"scores cannot be written ({said})", where=str(path), fix=fix) from error


@contextmanager
def _claimed(path: Path, lock: Path) -> Iterator[Exclusive]:
    """The place that whoever scores to a path holds, given back when the block fails. `Conflict` while another process has it."""
    place = Exclusive(lock)
    with _writing(path):
        taken = place.take()
    if not taken:
        fix = "Wait for it, or name another place"
        raise Conflict("another process scores to there", where=str(path), fix=fix)
    try:
        yield place
    except BaseException:
        place.leave()
        raise


class FileSink:
    """One file, put together at the end of parts that lie beside it; it is there whole or not at all."""

    def __init__(self, path: Path, job: str) -> None:
        self._path = path
        self._parts = path.with_name(f".{path.name}.parts")
        with _writing(path):
            self._parts.mkdir(parents=True, exist_ok=True)
        with _claimed(path, self._parts / _LOCK) as self._lock, _writing(path):
            self._begin(job)

    def _begin(self, job: str) -> None:
        """Takes up this job's parts; those of another job go."""
        marker = self._parts / _JOB
        if marker.is_file() and marker.read_bytes() == msgspec.json.encode(job):
            return
        marker.unlink(missing_ok=True)
        for left in self._parts.iterdir():
            if left.name != _LOCK:
                left.unlink()
        _put(marker, msgspec.json.encode(job))

    def done(self) -> int:
        """Rows of the parts that were finished."""
        return max((int(part.stem) for part in self._parts.glob("*.parquet")), default=0)

    def write(self, rows: pl.DataFrame, end: int) -> None:
        """Keeps a part under the number of rows that are kept with it."""
        part = self._parts / f"{end:015}.parquet"
        fresh = part.with_suffix(".new")
        with _writing(self._path):
            rows.write_parquet(fresh)
            fresh.replace(part)

    def finish(self) -> None:
        """Puts the parts together, then takes them away."""
        fresh = self._parts / "whole.new"
        rows = pl.scan_parquet(sorted(self._parts.glob("*.parquet")), glob=False)
        with _writing(self._path):
            if self._path.suffix.lower() == ".csv":
                rows.sink_csv(fresh)
            else:
                rows.sink_parquet(fresh)
            flush(fresh)
            fresh.replace(self._path)
            flush(self._path.parent)
        shutil.rmtree(self._parts)

    def close(self) -> None:
        """Lets others score to there."""
        self._lock.leave()


class _Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """The job that last wrote to a table: it lies in the table's folder, where readers of Delta pass it over."""

    job: str
    generation: str
    """Other than before when the table's rows were replaced: what jobs wrote earlier does not count any more."""
    finished: bool
    writer: str
    """Whose commits are counted as the job's."""
    alone: bool = False
    """Whether the table holds nothing else."""


class DeltaSink:
    """A Delta table: each piece is one commit, made once, so that readers see whole pieces as they come.

    Raises:
        Conflict: another job was cut off there, and its rows may not be replaced; or another process scores to there.
    """

    def __init__(self, path: Path, job: str, *, overwrite: bool, former: str | None = None) -> None:
        path = self._path = path.resolve()
        with _writing(path):
            path.mkdir(parents=True, exist_ok=True)
        with _claimed(path, path / _SCORING_LOCK) as self._lock:
            self._take_up(job, overwrite=overwrite, former=former)

    def _take_up(self, job: str, *, overwrite: bool, former: str | None) -> None:
        """Goes on with the job where it stopped, or begins it."""
        path = self._path
        self._tables, self._name = DeltaTables(path.parent), path.name
        self._marker = path / _SCORING
        said = self._marker.read_bytes() if self._marker.is_file() else b""
        last = msgspec.json.decode(said, type=_Scoring) if said else None
        if last is not None and last.job != job and not last.finished and not overwrite:
            fix = "Score those again as they were, name another table, or replace its rows with --overwrite"
            raise Conflict("a scoring of other rows or by another model was cut off there", where=str(path), fix=fix)
        if last is not None and last.job == job and (last.alone or not overwrite):
            self._scoring = last
        else:
            self._scoring = self._begun(job, last, former, overwrite=overwrite)
        if not overwrite and self.done() == 0:
            # What was to be replaced, and is not any more, stays beside the job's rows.
            self._scoring = msgspec.structs.replace(self._scoring, alone=False)
        self._noted = self._scoring == last
        self._replace = overwrite and self.done() == 0

    def _begun(self, job: str, last: _Scoring | None, former: str | None, *, overwrite: bool) -> _Scoring:
        """A job that does not go on with what the marker tells of."""
        generation = new_id() if overwrite else last.generation if last is not None else ""
        writer = f"{job}/{generation}"
        if last is None and not overwrite and former is not None and self._tables.last(self._name, former) is not None:
            writer = former
        return _Scoring(job=job, generation=generation, finished=False, writer=writer, alone=overwrite)

    def done(self) -> int:
        """Rows of the pieces that were committed."""
        return self._tables.last(self._name, self._scoring.writer) or 0

    def write(self, rows: pl.DataFrame, end: int) -> None:
        """Commits a piece."""
        with _writing(self._path):
            # Noted first: who is killed behind it begins with replacing again.
            if not self._noted:
                self._note(self._scoring)
            if self._replace and self._tables.version(self._name) is not None:
                self._tables.replace(self._name, rows.clear())
            self._replace = False
            self._tables.append(self._name, rows, once=(self._scoring.writer, end))

    def finish(self) -> None:
        """Every piece is there already."""
        with _writing(self._path):
            self._note(msgspec.structs.replace(self._scoring, finished=True))

    def close(self) -> None:
        """Lets others score to there."""
        self._lock.leave()

    def _note(self, scoring: _Scoring) -> None:
        _put(self._marker, msgspec.json.encode(scoring))
        self._noted = True


def _put(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)
