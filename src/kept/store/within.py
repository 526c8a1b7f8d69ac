"""Texts inside a JSON column, in the dialect of each database."""

from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, cast, func


def text_within(connection: Connection, column: ColumnElement[Any], *path: str) -> ColumnElement[str]:
    """The text at a path of names, or NULL where there is none."""
    if connection.dialect.name == "postgresql":
        inside: ColumnElement[str] = cast(column, JSON)[path].as_string()
        return inside
    found: ColumnElement[str] = func.json_extract(column, "$." + ".".join(path))
    return found
