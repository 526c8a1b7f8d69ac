"""The database of records that the settings choose."""

from pathlib import Path

from kept.settings.settings import Settings
from kept.store.postgres import PostgresDatabase
from kept.store.sqlite import SqliteDatabase


def database_of(settings: Settings, root: Path, *, patience: float = 10) -> SqliteDatabase | PostgresDatabase:
    """PostgreSQL where the settings name one, waited for so many seconds when it is away; else a file of the folder."""
    if settings.database:
        return PostgresDatabase(settings.database, patience=patience)
    return SqliteDatabase(root / "kept.db")


def may_be_there(settings: Settings, root: Path) -> bool:
    """Whether it is worth a try to read: a file that is opened too early would be made, empty."""
    return bool(settings.database) or (root / "kept.db").is_file()
