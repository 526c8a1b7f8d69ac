"""Keepers that each break one promise, run through their kits by `test_kits_find_faults.py`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import Connection

from kept.core.digests import digest_bytes
from kept.core.errors import NotFound
from kept.deployment.routing import Route, RoutingTable
from kept.pipelines.executor import ProcessExecutor
from kept.serving.local import FixedRoutes
from kept.store.blobs import FolderBlobs
from kept.store.grouping import Answer, Closing, Work
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables
from kept.testing.blobs import BlobsKit
from kept.testing.clock import ClockKit
from kept.testing.database import DatabaseKit
from kept.testing.executor import ExecutorKit
from kept.testing.routes import ChangingRouteSourceKit, RouteSourceKit
from kept.testing.tables import TablesKit


def _path(folder: Path, digest: str) -> Path:
    return folder / "sha256" / digest[7:9] / digest[9:]


class _FolderBlobsKit(BlobsKit):
    def damage(self, folder: Path, digest: str) -> None:
        _path(folder, digest).write_bytes(b"modem")


class Trusting(FolderBlobs):
    def get(self, digest: str) -> bytes:
        return self._path(digest).read_bytes()


class TestTrustingBlobs(_FolderBlobsKit):
    def open(self, folder: Path) -> FolderBlobs:
        return Trusting(folder)


class Whole(FolderBlobs):
    def put_file(self, path: Path) -> str:
        if not path.is_file():
            raise NotFound("there is no such file to keep", where=str(path))
        return self.put(path.read_bytes())


class TestWholeBlobs(_FolderBlobsKit):
    def open(self, folder: Path) -> FolderBlobs:
        return Whole(folder)


class Forgetting:
    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self._kept[digest_bytes(data)] = data
        return digest_bytes(data)

    def put_file(self, path: Path) -> str:
        return self.put(path.read_bytes())

    def get(self, digest: str) -> bytes:
        return self._kept[digest]

    def fetch(self, digest: str, to: Path) -> None:
        to.write_bytes(self._kept[digest])

    def has(self, digest: str) -> bool:
        return digest in self._kept


class TestForgettingBlobs(_FolderBlobsKit):
    def open(self, folder: Path) -> Forgetting:
        return Forgetting()


class Repeating(DeltaTables):
    def append(self, name: str, frame: pl.DataFrame, *, once: tuple[str, int] | None = None) -> int:
        return super().append(name, frame)


class TestRepeatingTables(TablesKit):
    def open(self, folder: Path) -> DeltaTables:
        return Repeating(folder)


class Adding(DeltaTables):
    def replace(self, name: str, frame: pl.DataFrame) -> int:
        return self.append(name, frame)


class TestAddingTables(TablesKit):
    def open(self, folder: Path) -> DeltaTables:
        return Adding(folder)


class Halfway(SqliteDatabase):
    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with super().writing() as connection:
            error = None
            try:
                yield connection
            except KeyError as raised:
                error = raised
        if error is not None:
            raise error


class TestHalfwayDatabase(DatabaseKit):
    @contextmanager
    def open(self, folder: Path) -> Iterator[SqliteDatabase]:
        with closing(Halfway(folder / "kept.db")) as database:
            database.create()
            yield database


class Unclosed(SqliteDatabase):
    def grouped(self, work: Work[Answer], closing: Closing | None = None, note: Any = None) -> Answer:
        return super().grouped(work)


class TestUnclosedDatabase(DatabaseKit):
    @contextmanager
    def open(self, folder: Path) -> Iterator[SqliteDatabase]:
        with closing(Unclosed(folder / "kept.db")) as database:
            database.create()
            yield database


class Local:
    def now(self) -> datetime:
        return datetime.now(timezone(timedelta(hours=2)))


class TestLocalClock(ClockKit):
    def open(self) -> Local:
        return Local()


class TestOverfullExecutor(ExecutorKit):
    def open(self, at_once: int) -> ProcessExecutor:
        return ProcessExecutor(at_once + 1)


class Talkative(FixedRoutes):
    def current(self, known_revision: int | None) -> RoutingTable | None:
        return super().current(None)


class TestTalkativeRoutes(RouteSourceKit):
    def open(self, folder: Path, routes: tuple[Route, ...]) -> FixedRoutes:
        return Talkative(RoutingTable(revision=1, routes=routes), {})


class Reassuring:
    """Says of routes that it cannot read that there are none."""

    def __init__(self, folder: Path, routes: tuple[Route, ...]) -> None:
        self._folder = folder
        self._table = RoutingTable(revision=1, routes=routes)

    def current(self, known_revision: int | None) -> RoutingTable | None:
        return RoutingTable(revision=0, routes=()) if (self._folder / "hidden").exists() else self._table


class TestReassuringRoutes(ChangingRouteSourceKit):
    def open(self, folder: Path, routes: tuple[Route, ...]) -> Reassuring:
        return Reassuring(folder, routes)

    def change(self, folder: Path, routes: tuple[Route, ...]) -> None:
        """Never does."""

    def hide(self, folder: Path) -> None:
        (folder / "hidden").touch()

    def show(self, folder: Path) -> None:
        (folder / "hidden").unlink()
