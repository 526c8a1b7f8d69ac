"""Rows of files of runs and logged models."""

from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, or_, select

from kept.store.rows import to_row
from kept.store.schema import artifacts
from kept.store.upsert import Upsert

_PUT = Upsert(artifacts, overwrite=["size", "digest", "at"])


def put_artifact(connection: Connection, artifact: msgspec.Struct) -> None:
    """Notes a file, in the place of what was noted at its path."""
    _PUT.into(connection, [to_row(artifact)])


def artifact_record(connection: Connection, path: str) -> dict[str, Any] | None:
    """The row of a file by column, or None."""
    row = connection.execute(select(artifacts).where(artifacts.c.path == path)).mappings().first()
    return None if row is None else {str(name): value for name, value in row.items()}


def forget_artifacts(connection: Connection, path: str) -> None:
    """Forgets a file, or all files below a folder."""
    # "0" comes right after "/": what lies between begins with the folder's name and a slash.
    below = and_(artifacts.c.path >= f"{path}/", artifacts.c.path < f"{path}0")
    connection.execute(delete(artifacts).where(or_(artifacts.c.path == path, below)))
