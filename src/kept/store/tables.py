"""The seam to tables: versioned, append-mostly data frames, and their keeper in Delta Lake."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote

import arro3.core as arrow
import polars as pl
import polars.selectors as cs
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from kept.core.errors import Conflict, Invalid, NotFound, Unavailable
from kept.core.flushing import flush
from kept.store.delta import check_folder, scan_folder
from kept.store.process_lock import alone

_ATTEMPTS = 10
_HOUR = timedelta(hours=1)
# The log of a table that is vacuumed: its commits are not needed for versions that cannot be read any more.
_LOG_KEPT = ("delta.logRetentionDuration", "interval 1 days")
# Some readers of Delta cannot read string views, which polars hands out.
_OLDER = {
    arrow.DataType.string_view(): arrow.DataType.string(),
    arrow.DataType.binary_view(): arrow.DataType.binary(),
}


# Delta does not see that two compactions rewrite the same files, and keeps the rows of both: they take turns by a lock on this file.
_COMPACTING = "_compaction.lock"


class Tables(Protocol):
    """Tables by name (`part/part/...`); each write makes a version, each version can be read for ever."""

    def append(self, name: str, frame: pl.DataFrame, *, once: tuple[str, int] | None = None) -> int:
        """Adds rows and gives the version that holds them; missing columns are added to the table as null.

        Args:
            name: the table.
            frame: the rows.
            once: a writer's name and a number that only grows. A write whose number is not above the last one of that
                writer changes nothing, so a repeated write is harmless.
        """
        ...

    def advance(self, name: str, frame: pl.DataFrame, marks: Mapping[str, tuple[int, int]]) -> int:
        """Adds rows of several writers at once, each of whom goes on from exactly where it stopped; gives the version.

        Args:
            name: the table.
            frame: the rows.
            marks: by writer the number of its last write (0 when there is none) and the number of this one.

        Raises:
            Conflict: a writer's last number is another, and nothing was added: somebody else wrote in its name.
        """
        ...

    def replace(self, name: str, frame: pl.DataFrame) -> int:
        """Makes these rows the whole table and gives the version; older versions stay readable."""
        ...

    def read(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a version (the newest by default). `NotFound` when there is none."""
        ...

    def version(self, name: str) -> int | None:
        """The newest version, or None when there is no such table."""
        ...

    def names(self, part: str) -> list[str]:
        """The tables whose names are a part, a slash and one more part, in order."""
        ...

    def last(self, name: str, writer: str) -> int | None:
        """The number of the last write that the writer named in `once` made, or None."""
        ...

    def compact(self, name: str) -> None:
        """Rewrites many small files as few large ones; versions stay readable."""
        ...

    def forget(self, name: str, column: str, before: datetime) -> None:
        """Takes out the rows whose time in a column lies before a moment; versions stay readable."""
        ...

    def vacuum(self, name: str, keep: timedelta) -> None:
        """Gives back the disk of what the newest version does not need and was left longer ago than `keep` (whole hours).

        Older versions can no longer be read then: it is for tables whose present alone counts. What writers last wrote
        (`last`) stays known.
        """
        ...


class DeltaTables:
    """Delta Lake tables under a folder."""

    def __init__(self, root: Path) -> None:
        check_folder(root)
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def append(self, name: str, frame: pl.DataFrame, *, once: tuple[str, int] | None = None) -> int:
        """Adds rows and gives the version that holds them."""
        for attempt in range(_ATTEMPTS):
            table = self._made(name, frame)
            if once is not None:
                last = table.transaction_version(once[0])
                if last is not None and last >= once[1]:
                    return table.version()
            try:
                return self._flushed(name, _write(table, frame, "append", dict([once]) if once else {}))
            except CommitFailedError:
                # Another writer committed first. With `once` that may have been our own earlier try: look again.
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def advance(self, name: str, frame: pl.DataFrame, marks: Mapping[str, tuple[int, int]]) -> int:
        """Adds rows of several writers at once, each of whom goes on from exactly where it stopped."""
        for attempt in range(_ATTEMPTS):
            table = self._made(name, frame)
            for writer, (before, _) in marks.items():
                last = table.transaction_version(writer) or 0
                if last != before:
                    what = f"{writer} wrote up to {last} already, not to {before}"
                    raise Conflict(what, where=f"table {name}", fix="Go on from there")
            try:
                return self._flushed(
                    name, _write(table, frame, "append", {one: end for one, (_, end) in marks.items()})
                )
            except CommitFailedError:
                # Another writer committed first; if it did so in one of these names, that is seen now.
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def replace(self, name: str, frame: pl.DataFrame) -> int:
        """Makes these rows the whole table and gives the version."""
        for _ in range(_ATTEMPTS):
            table = self._made(name, frame)
            before = table.version()
            with suppress(CommitFailedError):
                # Rows that somebody appended between our look and our commit would stay in the table beside ours.
                if (version := _write(table, frame, "overwrite", {})) == before + 1:
                    return self._flushed(name, version)
        fix = "Let one process replace a table while no other writes to it"
        raise Unavailable(f"other writers came between {_ATTEMPTS} times", where=f"table {name}", fix=fix)

    def read(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a version."""
        with self._finding(name, version):
            return scan_folder(self._path(name), version)

    def version(self, name: str) -> int | None:
        """The newest version, or None when there is no such table."""
        path = self._path(name)
        return self._table(name).version() if DeltaTable.is_deltatable(str(path)) else None

    def names(self, part: str) -> list[str]:
        """The tables right under a part."""
        found = self._path(part).glob("*/_delta_log")
        return sorted(f"{part}/{path.parent.name}" for path in found if DeltaTable.is_deltatable(str(path.parent)))

    def last(self, name: str, writer: str) -> int | None:
        """The number of the writer's last write, or None."""
        if not DeltaTable.is_deltatable(str(self._path(name))):
            return None
        return self._table(name).transaction_version(writer)

    def compact(self, name: str) -> None:
        """Rewrites many small files as few large ones. While another process does so, nothing is done."""
        self._table(name)
        with alone(self._path(name) / _COMPACTING) as mine:
            if not mine:
                return
            table = self._table(name)
            before = table.version()
            try:
                table.optimize.compact()
            except CommitFailedError:
                # Somebody else took rows out meanwhile; what they left small is for the next time.
                return
            self._flush_since(name, before, table)

    def forget(self, name: str, column: str, before: datetime) -> None:
        """Takes out the rows whose time in a column lies before a moment."""
        moment = before.astimezone(UTC).isoformat(timespec="microseconds")
        old = f"\"{column}\" < arrow_cast('{moment}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
        for attempt in range(_ATTEMPTS):
            table = self._table(name)
            known = table.version()
            try:
                table.delete(old)
            except CommitFailedError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                self._flush_since(name, known, table)
                return

    def vacuum(self, name: str, keep: timedelta) -> None:
        """Gives back the disk of what the newest version does not need."""
        table = self._table(name)
        if table.metadata().configuration.get(_LOG_KEPT[0]) != _LOG_KEPT[1]:
            table.alter.set_table_properties(dict([_LOG_KEPT]))
        # Full: what a killed writer left without a commit goes too. Not so what is young: it may be being written.
        table.vacuum(int(keep / _HOUR), dry_run=False, enforce_retention_duration=False, full=True)
        table.create_checkpoint()
        table.cleanup_metadata()

    def _flush_since(self, name: str, before: int, table: DeltaTable) -> None:
        """Files that replace others must be on the disk before those go."""
        for version in range(before + 1, table.version() + 1):
            self._flushed(name, version)

    def _flushed(self, name: str, version: int) -> int:
        """The version, once its files are on the disk: Delta leaves them with the kernel, which a power cut forgets."""
        root = self._path(name)
        log = root / "_delta_log" / f"{version:020}.json"
        actions = (json.loads(line) for line in log.read_bytes().splitlines())
        added = [root / unquote(action["add"]["path"]) for action in actions if "add" in action]
        folders = {path.parent for path in (*added, log)} | {root}
        for path in (*added, log, *sorted(folders)):
            flush(path)
        return version

    def _made(self, name: str, frame: pl.DataFrame) -> DeltaTable:
        """The table as it stands; made empty first when there is none, so that every write has a snapshot to stand on."""
        path = str(self._path(name))
        if not DeltaTable.is_deltatable(path):
            # Another writer may be making it at this moment; its table is as good.
            with suppress(CommitFailedError, DeltaError):
                DeltaTable.create(path, _portable(frame.clear()).schema, mode="ignore")
        return DeltaTable(path)

    def _table(self, name: str) -> DeltaTable:
        with self._finding(name):
            return DeltaTable(str(self._path(name)))

    @contextmanager
    def _finding(self, name: str, version: int | None = None) -> Iterator[None]:
        try:
            yield
        except TableNotFoundError as error:
            raise NotFound(f"there is no table {name}", where=str(self._root)) from error
        except Exception as error:
            if version is not None and "version" in str(error).lower():
                raise NotFound(f"table {name} has no version {version}", where=str(self._root)) from error
            raise

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if not all(part and part.strip(".") and "\\" not in part and "\0" not in part for part in parts):
            raise Invalid(f"{name!r} is not the name of a table", where="tables", fix="Write it like data/flights")
        return self._root.joinpath(*parts)


def _write(
    table: DeltaTable, frame: pl.DataFrame, mode: Literal["append", "overwrite"], numbers: Mapping[str, int]
) -> int:
    """Commits on top of the snapshot that the table is, with the numbers of writers, and gives the version of this commit."""
    transactions = [Transaction(app_id=writer, version=number) for writer, number in numbers.items()] or None
    schema_mode: Literal["merge", "overwrite"] = "merge" if mode == "append" else "overwrite"
    properties = CommitProperties(app_transactions=transactions)
    write_deltalake(table, _portable(frame), mode=mode, schema_mode=schema_mode, commit_properties=properties)
    return table.version()


def _portable(frame: pl.DataFrame) -> arrow.Table:
    """The frame in the types that every reader of Delta knows; a column without any type becomes text, moments those of UTC."""
    plain = frame.with_columns(
        pl.col(pl.Categorical, pl.Enum, pl.Null).cast(pl.String), pl.col(pl.Datetime).dt.cast_time_unit("us")
    ).with_columns(cs.datetime(time_zone="*").dt.convert_time_zone("UTC"))
    table = arrow.Table.from_arrow(plain)
    columns = {name: table.column(name) for name in table.column_names}
    return arrow.Table.from_pydict(
        {
            name: column.cast(_OLDER[column.type]) if column.type in _OLDER else column
            for name, column in columns.items()
        }
    )


def _fits(tables: DeltaTables) -> Tables:
    return tables
