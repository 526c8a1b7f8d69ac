import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

from kept.core.clock import SystemClock
from kept.governance.actor import Actor, owner
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.database import Database
from kept.store.postgres import PostgresDatabase
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables
from postgres_server import Server, running_server

# Threads that wait by spinning make small fits a hundred times slower where several test processes share the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# How long an example takes tells of the machine: the first one loads what it needs, and others may be at work.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# So does an answer: its own five seconds are what a busy machine takes now and then.
_patience = inspect.signature(httpx.Client).parameters["timeout"].default
_patience.connect = _patience.read = _patience.write = _patience.pool = 60.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once for each database, where that is asked for."""
    marked = metafunc.definition.get_closest_marker("each_database") is not None
    if marked and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def imports_of_its_own() -> Iterator[None]:
    """Projects that a test loads put their folders first on the path of imports: no other test shall find them."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of this session's own."""
    with running_server() as server:
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The database of records of one test, empty: SQLite, unless its module is marked `each_database`."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        with server.fresh() as url, closing(PostgresDatabase(url)) as kept:
            yield kept
        return
    (tmp_path / "workspace").mkdir()
    with closing(SqliteDatabase(tmp_path / "workspace" / "kept.db")) as made:
        made.create()
        yield made


@pytest.fixture
def workspace(tmp_path: Path, database: Database) -> Workspace:
    """A real workspace in a folder of its own."""
    root = tmp_path / "workspace"
    root.mkdir(exist_ok=True)
    return Workspace(
        root=root,
        database=database,
        blobs=FolderBlobs(root / "blobs"),
        tables=DeltaTables(root / "tables"),
        clock=SystemClock(),
        settings=Settings(workspace=str(root)),
    )


@pytest.fixture
def me() -> Actor:
    """The workspace's owner."""
    return owner("ada", "python")
