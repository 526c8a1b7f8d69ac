import os
from pathlib import Path

import pytest

from kept.core.clock import SystemClock
from kept.governance.actor import Actor, owner
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables

# Threads that wait by spinning make small fits a hundred times slower where several test processes share the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A real workspace in a folder of its own."""
    root = tmp_path / "workspace"
    root.mkdir()
    database = SqliteDatabase(root / "kept.db")
    database.create()
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
