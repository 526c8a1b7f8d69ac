"""The schema revision of a database, and the one that this Kept needs.

Looking costs a row: Alembic, which brings tables from one revision to the next, is loaded only when there is a next.
"""

import enum
import re
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from kept.core.errors import Invalid
from kept.store.schema import metadata

FIRST = "0001"
"""The tables of the first release, whose databases say no revision."""
_VERSIONS = Path(__file__).parent / "migrations" / "versions"
_FILE = re.compile(r"r(\d{4})_\w+\.py")
# As Alembic makes it.
_STAMP = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


class State(enum.Enum):
    """How the tables of a database stand to what this Kept needs."""

    ABSENT = enum.auto()
    CURRENT = enum.auto()
    OLDER = enum.auto()


class Revisions:
    """The revisions that this Kept knows, one file each, numbered without a gap.

    Args:
        folders: where their files are.
    """

    def __init__(self, folders: Sequence[Path] = (_VERSIONS,)) -> None:
        self._folders = tuple(folders)
        found = (_FILE.fullmatch(path.name) for folder in folders for path in folder.iterdir())
        self.head = max((name[1] for name in found if name), default="0000")
        """The revision of the tables in `kept.store.schema`."""

    def find(self, connection: Connection) -> str | None:
        """The revision of the database's tables; None where there are none of Kept's."""
        inspector = inspect(connection)
        if inspector.has_table(_STAMP.name):
            stamp: str | None = connection.execute(select(_STAMP.c.version_num)).scalar()
            if stamp is not None:
                return stamp
        return FIRST if set(metadata.tables) & set(inspector.get_table_names()) else None

    def look(self, connection: Connection, where: str) -> State:
        """How the tables stand; `Invalid` when they are of a newer Kept or of another program."""
        found = self.find(connection)
        if found is None:
            return State.ABSENT
        if not re.fullmatch(r"\d{4}", found):
            fix = "Name a database or a schema of its own for Kept"
            raise Invalid(f"the tables are of another program (their revision is {found})", where=where, fix=fix)
        if found > self.head:
            what = f"the tables have revision {found}, this Kept knows {self.head}"
            raise Invalid(what, where=where, fix="Install a newer Kept")
        # What says no revision gets one, also when its tables need no change.
        stamped = inspect(connection).has_table(_STAMP.name)
        return State.CURRENT if stamped and found == self.head else State.OLDER

    def make(self, connection: Connection) -> None:
        """Makes all tables where there are none."""
        metadata.create_all(connection)
        _STAMP.metadata.create_all(connection)
        connection.execute(insert(_STAMP).values(version_num=self.head))

    def upgrade(self, connection: Connection) -> None:
        """Brings the tables to the head, in the transaction that the caller has begun."""
        # Alembic costs a tenth of a second, and most openings have nothing to bring forward.
        from kept.store.migrations.upgrading import upgrade  # noqa: PLC0415

        upgrade(connection, self._folders)
