"""Rows to score, from a file or a table, in pieces: never all of them in memory."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import polars as pl
from deltalake import DeltaTable

from kept.core.digests import digest_json
from kept.core.errors import Invalid, NotFound
from kept.data.delimited import count_rows, names_of, read_pieces, separator_of
from kept.store.delta import scan_folder

_TEXT = {".csv", ".tsv", ".txt"}


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows come from, as it was when scoring began: a score that is taken up again needs the same rows."""

    path: str
    kind: str
    """`csv`, `parquet` or `delta`."""
    version: int | None = None
    """Of a Delta table."""
    table: str | None = None
    """Its own id: a table that was deleted and made anew counts its versions from the start again."""
    files: tuple[tuple[str, int, int, int], ...] = ()
    """Name, size in bytes, and times of the last change of content and of anything else (nanoseconds) of each file."""

    @property
    def digest(self) -> str:
        """Names these very rows."""
        return digest_json(self)

    @property
    def former_digest(self) -> str:
        """What named them before tables' ids and inodes' times told more of them apart."""
        files = tuple((name, size, changed) for name, size, changed, _ in self.files)
        return digest_json(_FormerOrigin(path=self.path, kind=self.kind, version=self.version, files=files))


class _FormerOrigin(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    kind: str
    version: int | None
    files: tuple[tuple[str, int, int], ...]


def origin_of(path: Path) -> Origin:
    """What lies at a path: a CSV or Parquet file, a folder of Parquet files, or a Delta table.

    Raises:
        NotFound: nothing does.
        Invalid: its ending says that it is something else.
    """
    full = str(path.resolve())
    if path.is_dir():
        if DeltaTable.is_deltatable(full):
            table = DeltaTable(full)
            return Origin(path=full, kind="delta", version=table.version(), table=str(table.metadata().id))
        # What begins so is what programs leave for themselves.
        found = sorted(file for file in path.glob("*.parquet") if not file.name.startswith((".", "_")))
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


def columns_of(origin: Origin) -> Mapping[str, pl.DataType]:
    """The columns, by their names; those of a text file are text. `Invalid` when it is not a whole file of its kind."""
    if origin.kind == "csv":
        return dict.fromkeys(names_of(Path(origin.path)), pl.String())
    try:
        return _scan(origin).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(origin, error) from error


def decimal_comma(origin: Origin) -> bool:
    """Whether a comma may stand for the point in numbers: in a text file in which it separates nothing."""
    return origin.kind == "csv" and separator_of(Path(origin.path)) != ","


def count(origin: Origin) -> int:
    """How many rows there are. `Invalid` when it is not a whole file of its kind."""
    if origin.kind == "csv":
        return count_rows(Path(origin.path))
    try:
        return int(_scan(origin).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(origin, error) from error


def pieces(origin: Origin, start: int, size: int) -> Iterator[pl.DataFrame]:
    """The rows from number `start` on, in their order, `size` at a time (the last piece may hold fewer).

    Where there are no rows at all, one empty piece tells their columns.
    """
    found = read_pieces(Path(origin.path), start, size) if origin.kind == "csv" else _scanned(origin, start, size)
    piece = next(found, None)
    if piece is not None:
        yield piece
    elif start == 0:
        yield pl.DataFrame(schema=dict(columns_of(origin)))
    yield from found


def _scanned(origin: Origin, start: int, size: int) -> Iterator[pl.DataFrame]:
    held: list[pl.DataFrame] = []
    have = 0
    try:
        for batch in _scan(origin).slice(start).collect_batches(chunk_size=size, maintain_order=True):
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


def _scan(origin: Origin) -> pl.LazyFrame:
    """All rows, unread, of what is no text."""
    if origin.kind == "delta":
        return scan_folder(Path(origin.path), origin.version)
    root = Path(origin.path)
    files = [root / name for name, _, _, _ in origin.files] if root.is_dir() else [root]
    # A name may hold what a pattern is made of. What one file has in a narrower type than the first is widened.
    wider = pl.ScanCastOptions(integer_cast="upcast", float_cast="upcast")
    return pl.scan_parquet(files, glob=False, cast_options=wider)


def _seen(file: Path) -> tuple[str, int, int, int]:
    facts = file.stat()
    return file.name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _unreadable(origin: Origin, error: Exception) -> Invalid:
    fix = "Check that it was written completely, and that its ending says what it is"
    return Invalid(f"not readable ({str(error).splitlines()[0]})", where=origin.path, fix=fix)
