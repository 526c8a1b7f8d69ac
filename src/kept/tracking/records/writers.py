"""Rows of log writers: the last position received from each process that logs."""

from datetime import datetime

from sqlalchemy import Connection, select

from kept.store.schema import log_writers
from kept.store.upsert import Upsert
from kept.tracking.records.keys import RunKey

_PUT = Upsert(log_writers, overwrite=["position", "at"])


def heard_of(connection: Connection, writer: str) -> int:
    """The position up to which a writer was heard; -1 when it never was."""
    found = connection.execute(select(log_writers.c.position).where(log_writers.c.id == writer)).scalar()
    return -1 if found is None else int(found)


def put_heard(connection: Connection, writer: str, run: RunKey, position: int, at: datetime) -> None:
    """Notes how far a writer was heard."""
    _PUT.into(connection, [{"id": writer, "run": run.number, "position": position, "at": at}])
