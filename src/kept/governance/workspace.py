"""One workspace: the stores, the clock and the settings, handed to every operation."""

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from kept.core.clock import Clock
from kept.core.spans import Traces
from kept.settings.settings import Settings
from kept.store.blobs import Blobs
from kept.store.database import Database, Joined
from kept.store.tables import Tables


@dataclass(frozen=True)
class Workspace:
    """What an operation works on. `app` makes it; everything else is given it."""

    root: Path
    database: Database
    blobs: Blobs
    tables: Tables
    clock: Clock
    settings: Settings
    traces: Traces | None = None
    """Who is told of operations and runs; None where nobody is."""

    def inside(self, connection: Connection) -> "Workspace":
        """The same workspace, inside a transaction that somebody else commits."""
        return replace(self, database=Joined(connection))
