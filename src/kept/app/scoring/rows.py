"""Rows to score, from a file or a table, in pieces: never all of them in memory."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
from deltalake import DeltaTable

from kept.core.digests import digest_json
from kept.core.errors import Invalid, NotFound
from kept.data.delimited import separator_of

_TEXT = {".csv", ".tsv", ".txt"}


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows come from, as it was when scoring began: a score that is taken up again needs the same rows."""

    path: str
    kind: str
    """`csv`, `parquet` or `delta`."""
    version: int | None = None
    """Of a Delta table."""
    files: tuple[tuple[str, int, int], ...] = ()
    """Name, size in bytes and time of the last change in nanoseconds of each file."""

    @property
    def digest(self) -> str:
        """Names these very rows."""
        return digest_json(self)


def origin_of(path: Path) -> Origin:
    """What lies at a path: a CSV or Parquet file, a folder of Parquet files, or a Delta table.

    Raises:
        NotFound: nothing does.
        Invalid: its ending says that it is something else.
    """
    full = str(path.resolve())
    if path.is_dir():
        if DeltaTable.is_deltatable(full):
            return Origin(path=full, kind="delta", version=DeltaTable(full).version())
        found = sorted(path.glob("*.parquet"))
        if not found:
            fix = "Name a folder of .parquet files, or of a Delta table"
            raise NotFound("the folder holds no rows", where=str(path), fix=fix)
        return Origin(path=full, kind="parquet", files=tuple(_seen(file) for file in found))
    if not path.is_file():
        raise NotFound("there is no such file", where=str(path), fix="Name a CSV or Parquet file, or a Delta table")
    if path.suffix.lower() not in {*_TEXT, ".parquet"}:
        fix = "Name a .csv or .parquet file, or a Delta table's folder"
        raise Invalid(f"a {path.suffix or 'file without ending'} cannot be scored", where=str(path), fix=fix)
    kind = "parquet" if path.suffix.lower() == ".parquet" else "csv"
    return Origin(path=full, kind=kind, files=(_seen(path),))


def scan(origin: Origin) -> pl.LazyFrame:
    """All rows, unread. Columns of a text file are text."""
    if origin.kind == "delta":
        return pl.scan_delta(DeltaTable(origin.path, version=origin.version))
    root = Path(origin.path)
    if origin.kind == "csv":
        # `infer_schema=False` leaves text as it stands; what it means is the signature's to say.
        return pl.scan_csv(root, infer_schema=False, separator=separator_of(root))
    return pl.scan_parquet([root / name for name, _, _ in origin.files] if root.is_dir() else root)


def columns_of(origin: Origin) -> list[str]:
    """The names of the columns. `Invalid` when it is not a whole file of its kind."""
    try:
        return scan(origin).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(origin, error) from error


def count(origin: Origin) -> int:
    """How many rows there are. `Invalid` when it is not a whole file of its kind."""
    try:
        return int(scan(origin).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(origin, error) from error


def pieces(origin: Origin, start: int, size: int) -> Iterator[pl.DataFrame]:
    """The rows from number `start` on, in their order, `size` at a time (the last piece may hold fewer).

    Where there are no rows at all, one empty piece tells their columns.
    """
    held: list[pl.DataFrame] = []
    have, seen = 0, False
    try:
        for batch in scan(origin).slice(start).collect_batches(chunk_size=size, maintain_order=True):
            seen = seen or batch.height > 0
            held.append(batch)
            have += batch.height
            if have >= size:
                rows = pl.concat(held)
                whole = have - have % size
                yield from rows.head(whole).iter_slices(size)
                held, have = [rows.slice(whole)], have - whole
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(origin, error) from error
    if have:
        yield pl.concat(held)
    elif start == 0 and not seen:
        yield scan(origin).head(0).collect()


def _seen(file: Path) -> tuple[str, int, int]:
    facts = file.stat()
    return file.name, facts.st_size, facts.st_mtime_ns


def _unreadable(origin: Origin, error: Exception) -> Invalid:
    fix = "Check that it was written completely, and that its ending says what it is"
    return Invalid(f"not readable ({str(error).splitlines()[0]})", where=origin.path, fix=fix)
