"""Opening a workspace with its concrete stores."""

import atexit
import getpass
import os
from contextlib import closing
from pathlib import Path

import msgspec

from kept.app.database import database_of, remembered
from kept.app.marker import FORMAT, Marker, begin, read_marker, write_marker
from kept.core.clock import SystemClock
from kept.core.errors import NotFound
from kept.governance.actor import Actor, owner
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings, load_settings
from kept.settings.tracing import traces_of
from kept.store.blobs import FolderBlobs
from kept.store.delta import check_folder
from kept.store.postgres import PostgresDatabase
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables
from kept.tracking.experiments import ensure_default_experiment


class WorkspaceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where a workspace is, and whether its tables are those that this Kept needs."""

    folder: str
    format: int
    database: str
    """The file, or the address without its password."""
    revision: str | None
    """Of the tables; None where there are none yet."""
    needed: str
    current: bool


def open_workspace(settings: Settings, *, create: bool = True) -> Workspace:
    """The workspace in the folder that the settings name; made when it is not there and may be.

    Raises:
        NotFound: there is none, and it may not be made.
        Invalid: the folder is something else, or a workspace of a newer Kept.
        Conflict: the records are in another database than the settings name, or of an older Kept on a server.
        Unavailable: the folder cannot be written, or the database is away.
    """
    root = Path(settings.workspace).expanduser().resolve()
    if read_marker(root) is None:
        if not create:
            raise _absent(root)
        check_folder(root)
        begin(root)
    database = database_of(settings, root)
    database.create()
    _remember(root, database)
    traces = traces_of(settings, "kept")
    if traces is not None:
        atexit.register(traces.close)
    workspace = Workspace(
        root=root,
        database=database,
        blobs=FolderBlobs(root / "blobs"),
        tables=DeltaTables(root / "tables"),
        clock=SystemClock(),
        settings=settings,
        traces=traces,
    )
    ensure_default_experiment(workspace)
    return workspace


def show_workspace(settings: Settings) -> WorkspaceStatus:
    """What the workspace in the folder is; nothing of it is changed."""
    root = Path(settings.workspace).expanduser().resolve()
    marker = read_marker(root)
    if marker is None:
        raise _absent(root)
    with closing(database_of(settings, root)) as database:
        revision, needed = database.revision()
        return WorkspaceStatus(
            folder=str(root),
            format=marker.format,
            database=database.address,
            revision=revision,
            needed=needed,
            current=revision == needed and marker.format == FORMAT,
        )


def migrate_workspace(settings: Settings) -> WorkspaceStatus:
    """Brings the tables of an older Kept forward; where there is nothing to do, nothing is done."""
    root = Path(settings.workspace).expanduser().resolve()
    if read_marker(root) is None:
        raise _absent(root)
    with closing(database_of(settings, root)) as database:
        database.migrate()
        _remember(root, database)
    return show_workspace(settings)


def open_root(root: str) -> Workspace:
    """The existing workspace in a folder, for the processes of steps."""
    return open_workspace(load_settings(Path.cwd(), workspace=root), create=False)


def embedded_actor(settings: Settings, origin: str) -> Actor:
    """Whoever works on a workspace of this machine: its owner, under the name in the settings or the login name."""
    return owner(settings.actor or _login(), origin)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _remember(root: Path, database: SqliteDatabase | PostgresDatabase) -> None:
    known = read_marker(root)
    if known is None or known.format < FORMAT or not known.database:
        write_marker(root, Marker(format=FORMAT, database=remembered(database)))


def _absent(root: Path) -> NotFound:
    fix = "Name it with --workspace, or begin with kept run or kept up"
    return NotFound("there is no workspace", where=str(root), fix=fix)
