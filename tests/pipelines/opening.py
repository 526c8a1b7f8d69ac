"""Opens a workspace as the application does; processes of steps find this module on their path."""

from pathlib import Path

from kept.core.clock import SystemClock
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables

OPENER = "opening:open_root"


def open_root(root: str) -> Workspace:
    place = Path(root)
    return Workspace(
        root=place,
        database=SqliteDatabase(place / "kept.db"),
        blobs=FolderBlobs(place / "blobs"),
        tables=DeltaTables(place / "tables"),
        clock=SystemClock(),
        settings=Settings(workspace=root),
    )
