"""Reflected tables of MLflow's database, of whatever version it is; read only."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    TableClause,
    column,
    func,
    inspect,
    select,
    table,
    true,
)
from sqlalchemy.exc import DBAPIError

from kept.app.importing.words import text
from kept.core.errors import Unavailable

_AT_ONCE = 500
Row = Any


class Tables:
    """Tables by name. Rows have the columns that the table has: older databases have fewer.

    Args:
        engine: connections that can not write.
        address: what the database is called in messages.
        part: the value of the column `workspace`, where a table has one, of the rows that are read.
    """

    def __init__(self, engine: Engine, address: str, part: str) -> None:
        self.is_postgres = engine.dialect.name == "postgresql"
        self._engine = engine
        self._address = address
        self._part = part
        with self.reading() as connection:
            found = inspect(connection)
            # Without types: what the driver gives is taken as it is.
            self._found = {
                name: table(name, *(column(one["name"]) for one in found.get_columns(name)))
                for name in found.get_table_names()
            }

    def __contains__(self, name: str) -> bool:
        """Whether there is such a table."""
        return name in self._found

    def __getitem__(self, name: str) -> TableClause:
        """The table."""
        return self._found[name]

    def has(self, name: str, field: str) -> bool:
        """Whether there is such a table with such a column."""
        return name in self._found and field in self._found[name].c

    def of_part(self, name: str) -> ColumnElement[bool]:
        """The condition that a row belongs to the part that is read."""
        return self._found[name].c.workspace == self._part if self.has(name, "workspace") else true()

    def other_parts(self, name: str) -> Sequence[Row]:
        """Names of the parts that are not read, each with how many rows there are."""
        if not self.has(name, "workspace"):
            return []
        part = self._found[name].c.workspace
        return self.rows(select(part, func.count().label("many")).where(part != self._part).group_by(part))

    def count(self, name: str) -> int:
        """How many rows there are."""
        return int(self.rows(select(func.count().label("many")).select_from(self._found[name]))[0].many)

    def rows(self, query: Select[Any]) -> Sequence[Row]:
        """All rows of a query."""
        with self.reading() as connection:
            return connection.execute(query).all()

    def rows_of(self, query: Select[Any], owner: ColumnElement[Any], owners: Sequence[Any]) -> list[Row]:
        """The rows of a query that belong to these owners."""
        found: list[Row] = []
        with self.reading() as connection:
            for start in range(0, len(owners), _AT_ONCE):
                found += connection.execute(query.where(owner.in_(owners[start : start + _AT_ONCE]))).all()
        return found

    def texts_of(
        self, name: str, owner: str, owners: Sequence[Any], fields: tuple[str, str] = ("key", "value")
    ) -> dict[Any, dict[str, str]]:
        """Texts by name, of each of these owners; of none where there is no such table."""
        found: dict[Any, dict[str, str]] = defaultdict(dict)
        if name in self._found:
            columns = self._found[name].c
            query = select(columns[owner], columns[fields[0]], columns[fields[1]])
            for whose, key, value in self.rows_of(query, columns[owner], owners):
                found[whose][key] = text(value)
        return found

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection; `Unavailable` when the database can not be read."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            said = " ".join(str(error.orig).split())[:200]
            fix = "Check that it can be read, then run the import again: it goes on where it stopped"
            raise Unavailable(f"the database cannot be read ({said})", where=self._address, fix=fix) from error

    def close(self) -> None:
        """Gives the connections back."""
        self._engine.dispose()
