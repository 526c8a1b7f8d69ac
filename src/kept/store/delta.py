"""Delta tables in folders of this machine, whatever the folders are called."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
from deltalake import DeltaTable

from kept.core.errors import Invalid

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
    """
    return pl.scan_delta(_ByPath(folder, version=version))


class _ByPath(DeltaTable):
    """A table that tells polars its paths as they are: the library tells those of an address, with %20 for a space."""

    def __init__(self, folder: Path, *, version: int | None) -> None:
        super().__init__(folder, version=version)
        self._quoted = urlsplit(super().table_uri).path.rstrip("/")
        self._plain = str(folder.resolve())

    @property
    def table_uri(self) -> str:
        """The folder's path."""
        return f"file://{self._plain}/"

    def file_uris(self, *args: object, **kwargs: object) -> list[str]:
        """Paths of the files. Below the folder they are called on the disk as the table calls them."""
        found = super().file_uris(*args, **kwargs)  # type: ignore[arg-type] # handed on as it came
        return [self._plain + path.removeprefix(self._quoted) for path in found]
