"""The service's local copy of what it serves: with the database and the blobs away it goes on, also from a cold start."""

import contextlib
import os
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from kept.core.errors import KeptError, NotFound
from kept.core.flushing import flush
from kept.core.ids import new_id
from kept.deployment.routing import RoutingTable
from kept.packaging.bundle import fetch_bundle
from kept.store.blobs import Blobs

# A bundle that no route names any more stays for so long: another process may still be behind, or ahead.
_UNNAMED_SECONDS = 3_600.0


class RouteSource(Protocol):
    """Where the routing table comes from. It is asked again and again, from one thread."""

    def current(self, known_revision: int | None) -> RoutingTable | None:
        """The table in force, or None when its revision is the known one. Raises when it cannot be read now."""
        ...


class Bundles(Protocol):
    """Where the bundles are."""

    def folder(self, digest: str, *, again: bool = False) -> Path:
        """A folder that holds the bundle; `again` brings it anew where that is possible, because what is there is damaged."""
        ...


class LocalCopy:
    """Bundles and the last routing table under a folder: `bundles/<digest>/` and `routing.json`."""

    def __init__(self, root: Path, blobs: Blobs) -> None:
        self._root = root
        self._blobs = blobs
        self._table = root / "routing.json"

    def folder(self, digest: str, *, again: bool = False) -> Path:
        """The bundle's folder, brought here when it is not here yet. What loads it checks every byte."""
        to = self._root / "bundles" / digest.removeprefix("sha256:")
        if not to.is_dir():
            return fetch_bundle(digest, self._blobs, to)
        if again:
            fresh = fetch_bundle(digest, self._blobs, to.with_name(f".again-{new_id()}"))
            shutil.rmtree(to)
            fresh.rename(to)
        with contextlib.suppress(OSError):
            os.utime(to)
        return to

    def tidy(self, named: Collection[str]) -> None:
        """Removes the bundles that are none of these and were not asked for within the last hour, and what a crash left.

        Processes share the folder, and one may follow the table sooner than another: what is new to it is not old here.
        """
        kept = {digest.removeprefix("sha256:") for digest in named}
        old = time.time() - _UNNAMED_SECONDS
        with contextlib.suppress(FileNotFoundError):
            for folder in (self._root / "bundles").iterdir():
                with contextlib.suppress(OSError):
                    if folder.name not in kept and folder.stat().st_mtime < old:
                        # Under a hidden name first, so that nobody finds half of it.
                        gone = folder.rename(folder.with_name(f".gone-{new_id()}"))
                        shutil.rmtree(gone, ignore_errors=True)

    def load(self) -> RoutingTable | None:
        """The last table that was served, or None when there is none that can be read."""
        try:
            return msgspec.json.decode(self._table.read_bytes(), type=RoutingTable)
        except (OSError, msgspec.MsgspecError, KeptError):
            return None

    def save(self, table: RoutingTable) -> None:
        """Keeps the table, durable when this returns; a reader sees the old one or the new one."""
        self._root.mkdir(parents=True, exist_ok=True)
        temporary = self._root / f".routing-{os.getpid()}.json"
        with temporary.open("wb") as stream:
            stream.write(msgspec.json.encode(table))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self._table)
        flush(self._root)


class FixedRoutes:
    """A routing table that never changes, and the folders of its bundles: to serve a model without a workspace."""

    def __init__(self, table: RoutingTable, folders: Mapping[str, Path]) -> None:
        self._fixed = table
        self._folders = dict(folders)

    def current(self, known_revision: int | None) -> RoutingTable | None:
        """The table, once."""
        return None if known_revision == self._fixed.revision else self._fixed

    def folder(self, digest: str, *, again: bool = False) -> Path:
        """The bundle's folder."""
        del again
        if digest not in self._folders:
            raise NotFound(f"there is no bundle {digest}", where="fixed routes")
        return self._folders[digest]

    def load(self) -> RoutingTable | None:
        """None: nothing is kept."""
        return None

    def save(self, table: RoutingTable) -> None:
        """Keeps nothing."""

    def tidy(self, named: Collection[str]) -> None:
        """Removes nothing: the folders are another's."""


def _fits(copy: LocalCopy, fixed: FixedRoutes) -> tuple[Bundles, Bundles, RouteSource]:
    return copy, fixed, fixed
