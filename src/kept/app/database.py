"""Which database holds a workspace's records: the one it began with, which the settings name or its folder remembers."""

import os
from pathlib import Path

from kept.app.marker import SQLITE, read_marker
from kept.core.errors import Conflict, Forbidden
from kept.settings.settings import Settings
from kept.store.postgres import PostgresDatabase, is_near, same_place
from kept.store.sqlite import SqliteDatabase

_FILE = "kept.db"


def database_of(settings: Settings, root: Path, *, patience: float = 10) -> SqliteDatabase | PostgresDatabase:
    """PostgreSQL where the workspace has its records there, waited for so many seconds when it is away; else a file.

    Raises:
        Conflict: the settings name another database than the one that holds the records, or none is known.
        Forbidden: a password that is meant for any server would go to one elsewhere that only the folder names.
    """
    address = _address(settings, root)
    return PostgresDatabase(address, patience=patience) if address else SqliteDatabase(root / _FILE)


def may_be_there(settings: Settings, root: Path) -> bool:
    """Whether it is worth a try to read: a file that is opened too early would be made, empty."""
    return bool(_address(settings, root)) or (root / _FILE).is_file()


def remembered(database: SqliteDatabase | PostgresDatabase) -> str:
    """What the folder is to remember of its database: no password is in it."""
    return SQLITE if isinstance(database, SqliteDatabase) else database.address


def _address(settings: Settings, root: Path) -> str:
    """The address of a PostgreSQL database; '' for the file."""
    given = settings.database
    marker = read_marker(root)
    known = "" if marker is None else marker.database
    if not known:
        _expect_known(settings, root, of_old=marker is not None and marker.format == 1)
        return given
    if known == SQLITE:
        if given:
            raise _another(root, f"its records are in {_FILE}")
        return ""
    if given and not same_place(given, known):
        raise _another(root, f"its records are at {known}")
    if not given and "PGPASSWORD" in os.environ and not is_near(known):
        raise Forbidden(
            f"PGPASSWORD would be sent to {known}, which only the folder names",
            where=str(root),
            fix="Set KEPT_DATABASE to that address if it is yours, or keep the password in ~/.pgpass, by server",
        )
    # What is given may hold the password.
    return given or known


def _expect_known(settings: Settings, root: Path, *, of_old: bool) -> None:
    """Workspaces of format 1 did not say where their records are, but a file of records is there or it is not."""
    if not of_old or bool(settings.database) != (root / _FILE).is_file():
        return
    if settings.database:
        raise _another(root, f"its records are in {_FILE}")
    fix = "Set it to the address of its PostgreSQL database, once; or remove workspace.json when it is new"
    raise Conflict("its records are not in the folder, and KEPT_DATABASE is not set", where=str(root), fix=fix)


def _another(root: Path, what: str) -> Conflict:
    fix = "Unset it, or name another folder with --workspace; when the records have moved, say so in workspace.json"
    return Conflict(f"{what}, and KEPT_DATABASE names another database", where=str(root), fix=fix)
