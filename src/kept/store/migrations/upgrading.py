"""Running Alembic without a file of settings, on a connection that is inside a transaction already."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_HERE = Path(__file__).parent


def upgrade(connection: Connection, folders: Sequence[Path]) -> None:
    """Runs each revision of the folders that the database has not had yet; the caller commits."""
    settings = Config()
    # A percent sign begins a reference in Alembic's settings.
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    settings.set_main_option("path_separator", "newline")
    settings.set_main_option("version_locations", "\n".join(map(str, folders)).replace("%", "%%"))
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
