"""Delta tables in folders of this machine, whatever the folders are called."""

import re
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import finalize

import polars as pl
from deltalake import DeltaTable

from kept.core.errors import Damaged, Invalid

# The Delta library makes an address of a path, and cannot make one of some of these, or finds another folder by it; polars
# takes the others for patterns.
_UNUSABLE = re.compile(r"[\[\]^|\\*?]|%[0-9A-Fa-f]{2}")


def check_folder(folder: Path) -> None:
    """Refuses a folder whose name no Delta table can lie under. `Invalid` says which part of it is why."""
    if found := _UNUSABLE.search(str(folder)):
        fix = "Name a folder without any of [ ] ^ | \\ * ? and %XX"
        raise Invalid(f"tables cannot be kept in a folder with {found[0]!r} in its path", where=str(folder), fix=fix)


def scan_folder(folder: Path, version: int | None = None) -> pl.LazyFrame:
    """The rows of a table's version (the newest by default), unread.

    Raises:
        TableNotFoundError: the folder holds none.
        Damaged: a file has lost its end.
    """
    table = _ByPath(folder, version=version)
    _check_files(folder, table)
    return pl.scan_delta(table)


def _check_files(folder: Path, table: DeltaTable) -> None:
    """Refuses files that are shorter than they were written: polars panics over them, which is no `Exception`."""
    files = table.get_add_actions(flatten=True)
    for name, size in zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True):
        with suppress(FileNotFoundError):  # it is said as what it is where it is read
            if (found := (folder / unquote(name)).stat().st_size) < size:
                what = f"{unquote(name)} has {found} bytes, expected {size}"
                raise Damaged(what, where=str(folder), fix="Restore it from a backup")


class _ByPath(DeltaTable):
    """A table that tells polars its paths as they are: the library tells those of an address, with %20 for a space."""

    def __init__(self, folder: Path, *, version: int | None) -> None:
        super().__init__(folder, version=version)
        self._quoted = urlsplit(super().table_uri).path.rstrip("/")
        self._plain = str(folder.resolve())
        if "=" in self._plain and self.metadata().partition_columns:
            # To polars that names a column, too, as it does below the folder.
            around = mkdtemp(prefix="kept-delta-")
            finalize(self, rmtree, around)
            link = Path(around) / "table"
            link.symlink_to(self._plain, target_is_directory=True)
            self._plain = str(link)

    @property
    def table_uri(self) -> str:
        """The folder's path."""
        return f"file://{self._plain}/"

    def file_uris(self, *args: object, **kwargs: object) -> list[str]:
        """Paths of the files. Below the folder they are called on the disk as the table calls them."""
        found = super().file_uris(*args, **kwargs)  # type: ignore[arg-type] # handed on as it came
        return [self._plain + path.removeprefix(self._quoted) for path in found]

    def deletion_vectors(self) -> Any:
        """Which rows of which files stay, by the same paths: polars keeps all rows of a file that it finds none for.

        Here the library quotes what stands below the folder, too.
        """
        found = pl.DataFrame(super().deletion_vectors())
        below = (urlsplit(path).path.removeprefix(self._quoted) for path in found["filepath"])
        return found.with_columns(pl.Series("filepath", [self._plain + unquote(path) for path in below], pl.String))
