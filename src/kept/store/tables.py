"""The seam to tables: versioned, append-mostly data frames, and their keeper in Delta Lake."""

from pathlib import Path
from typing import Literal, Protocol

import arro3.core as arrow
import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from kept.core.errors import Invalid, NotFound

_ATTEMPTS = 10
# Some readers of Delta cannot read string views, which polars hands out.
_OLDER = {
    arrow.DataType.string_view(): arrow.DataType.string(),
    arrow.DataType.binary_view(): arrow.DataType.binary(),
}


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

    def replace(self, name: str, frame: pl.DataFrame) -> int:
        """Makes these rows the whole table and gives the version; older versions stay readable."""
        ...

    def read(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a version (the newest by default). `NotFound` when there is none."""
        ...

    def version(self, name: str) -> int | None:
        """The newest version, or None when there is no such table."""
        ...

    def last(self, name: str, writer: str) -> int | None:
        """The number of the last write that the writer named in `once` made, or None."""
        ...

    def compact(self, name: str) -> None:
        """Rewrites many small files as few large ones; versions stay readable."""
        ...


class DeltaTables:
    """Delta Lake tables under a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def append(self, name: str, frame: pl.DataFrame, *, once: tuple[str, int] | None = None) -> int:
        """Adds rows and gives the version that holds them."""
        for attempt in range(_ATTEMPTS):
            if once is not None:
                last = self.last(name, once[0])
                if last is not None and last >= once[1]:
                    return self._table(name).version()
            try:
                return self._write(name, frame, "append", once)
            except CommitFailedError:
                # Another writer committed first. With `once` that may have been our own earlier try: look again.
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def replace(self, name: str, frame: pl.DataFrame) -> int:
        """Makes these rows the whole table and gives the version."""
        return self._write(name, frame, "overwrite", None)

    def read(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a version."""
        table = self._table(name, version)
        return pl.scan_delta(table)

    def version(self, name: str) -> int | None:
        """The newest version, or None when there is no such table."""
        path = self._path(name)
        return self._table(name).version() if DeltaTable.is_deltatable(str(path)) else None

    def last(self, name: str, writer: str) -> int | None:
        """The number of the writer's last write, or None."""
        if not DeltaTable.is_deltatable(str(self._path(name))):
            return None
        return self._table(name).transaction_version(writer)

    def compact(self, name: str) -> None:
        """Rewrites many small files as few large ones."""
        self._table(name).optimize.compact()

    def _write(
        self, name: str, frame: pl.DataFrame, mode: Literal["append", "overwrite"], once: tuple[str, int] | None
    ) -> int:
        path = self._path(name)
        write_deltalake(
            str(path),
            _portable(frame),
            mode=mode,
            schema_mode="merge" if mode == "append" else "overwrite",
            commit_properties=CommitProperties(
                app_transactions=[Transaction(app_id=once[0], version=once[1])] if once else None
            ),
        )
        return self._table(name).version()

    def _table(self, name: str, version: int | None = None) -> DeltaTable:
        try:
            return DeltaTable(str(self._path(name)), version=version)
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


def _portable(frame: pl.DataFrame) -> arrow.Table:
    """The frame in the types that every reader of Delta knows; a column without any type becomes text."""
    plain = frame.with_columns(
        pl.col(pl.Categorical, pl.Enum, pl.Null).cast(pl.String), pl.col(pl.Datetime).dt.cast_time_unit("us")
    )
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
