from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filled import Filled, fill
from litestar.testing import TestClient
from visiting import ADDRESS, Client, Open

from kept.core.clock import SystemClock
from kept.governance.actor import Actor, owner
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables
from kept.web.site import make_site


@pytest.fixture
def open_site(workspace: Workspace, me: Actor) -> Iterator[Open]:
    """Opens the site of an empty workspace with the settings given."""
    opened: list[Client] = []

    def make(address: str = ADDRESS, **settings: Any) -> Client:
        given = Workspace(**{**vars(workspace), "settings": Settings(workspace=str(workspace.root), **settings)})
        client = TestClient(make_site(given, me), base_url=address, raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Filled]]:
    """A workspace with something of everything; nobody changes it."""
    root = tmp_path_factory.mktemp("full")
    database = SqliteDatabase(root / "kept.db")
    database.create()
    workspace = Workspace(
        root=root,
        database=database,
        blobs=FolderBlobs(root / "blobs"),
        tables=DeltaTables(root / "tables"),
        clock=SystemClock(),
        settings=Settings(workspace=str(root)),
    )
    random = np.random.default_rng(5).uniform(size=600)
    yield workspace, fill(workspace, owner("ada", "python"), Path(tmp_path_factory.mktemp("project")), random)
    database.close()


@pytest.fixture(scope="session")
def site(full: tuple[Workspace, Filled]) -> Iterator[Client]:
    """The site of the full workspace."""
    with TestClient(make_site(full[0], owner("ada", "api")), base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield client
