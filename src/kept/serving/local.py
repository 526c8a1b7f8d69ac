"""The service's own copy of what it serves: with the database and the blobs away it goes on, also from cold."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from kept.core.errors import KeptError, NotFound
from kept.core.flushing import flush
from kept.core.ids import new_id
from kept.deployment.routing import RoutingTable
from kept.packaging.bundle import fetch_bundle
from kept.store.blobs import Blobs


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
        return to

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


def _fits(copy: LocalCopy, fixed: FixedRoutes) -> tuple[Bundles, Bundles, RouteSource]:
    return copy, fixed, fixed
