"""Rows of the heartbeats of processes."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from kept.app.process import Process
from kept.store.rows import from_row, to_row
from kept.store.schema import processes
from kept.store.upsert import Upsert

_SAVE = Upsert(processes, overwrite=["kind", "host", "pid", "address", "started_at", "seen_at", "details"])
_FORGOTTEN = timedelta(days=1)


def save_process(connection: Connection, process: Process) -> None:
    """Adds the process, or what it now says of itself. Those that were killed and silent for a day go from the list."""
    connection.execute(delete(processes).where(processes.c.seen_at < process.seen_at - _FORGOTTEN))
    _SAVE.into(connection, [to_row(process)])


def remove_process(connection: Connection, process_id: str) -> None:
    """Takes a process off the list."""
    connection.execute(delete(processes).where(processes.c.id == process_id))


def processes_since(connection: Connection, moment: datetime) -> list[Process]:
    """Processes seen since then, oldest first."""
    query = select(processes).where(processes.c.seen_at >= moment).order_by(processes.c.started_at)
    return [from_row(row, Process) for row in connection.execute(query).mappings()]
