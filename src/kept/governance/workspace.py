"""One workspace: the stores, the clock and the settings, handed to every operation."""

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from kept.core.clock import Clock
from kept.core.spans import Context, Traces
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
    trace: Context | None = None
    """The span that operations are a part of; None where each begins a trace of its own."""

    def within_trace(self, traceparent: bytes) -> "Workspace":
        """The same workspace, for work that somebody asked for with this header (W3C Trace Context): it is part of their trace,
        and whether it is told of is theirs to say.
        """
        if self.traces is None or not traceparent:
            return self
        context = self.traces.sampled(traceparent)
        return replace(self, trace=context, traces=None if context is None else self.traces)

    def inside(self, connection: Connection) -> "Workspace":
        """The same workspace, inside a transaction that somebody else commits."""
        return replace(self, database=Joined(connection))
