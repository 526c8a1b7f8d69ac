"""Upserts, in the dialect of each database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


class Upsert:
    """An insert that meets an existing row with the same key by overwriting columns of it, or by leaving it."""

    def __init__(self, table: Table, *, overwrite: Sequence[str] = ()) -> None:
        keys = [column.name for column in table.primary_key]
        self._statements: dict[str, Any] = {}
        for dialect in (sqlite, postgresql):
            statement: Any = dialect.insert(table)
            if overwrite:
                values = {name: statement.excluded[name] for name in overwrite}
                self._statements[dialect.__name__] = statement.on_conflict_do_update(index_elements=keys, set_=values)
            else:
                self._statements[dialect.__name__] = statement.on_conflict_do_nothing()

    def into(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
        """Puts the rows, whose keys differ from each other, into the table; how many were put."""
        if not rows:
            return 0
        found = connection.execute(self._statements[f"sqlalchemy.dialects.{connection.dialect.name}"], rows)
        return found.rowcount
