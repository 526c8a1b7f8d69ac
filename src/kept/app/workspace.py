"""Opening a workspace with its concrete stores."""

import getpass
import os
from pathlib import Path

import msgspec

from kept.app.database import database_of
from kept.core.clock import SystemClock
from kept.core.errors import Invalid, NotFound, Unavailable
from kept.governance.actor import Actor, owner
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings, load_settings
from kept.store.blobs import FolderBlobs
from kept.store.tables import DeltaTables
from kept.tracking.experiments import ensure_default_experiment

FORMAT = 1
# What a prediction service that was started first, or a beginning that was cut short, leaves in the folder.
_OURS = {"workspace.json", "workspace.new", "blobs", "logs", "serving", "spool"}


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """The file `workspace.json`, which says that a folder is a workspace and of which format."""

    format: int


def open_workspace(settings: Settings, *, create: bool = True) -> Workspace:
    """The workspace in the folder that the settings name; made when it is not there and may be.

    Raises:
        NotFound: there is none, and it may not be made.
        Invalid: the folder is something else, or a workspace of a newer format.
        Unavailable: the folder cannot be written, or the database is away.
    """
    root = Path(settings.workspace).expanduser().resolve()
    marker = root / "workspace.json"
    if not marker.is_file():
        if not create:
            fix = "Name it with --workspace, or begin with kept run or kept up"
            raise NotFound("there is no workspace", where=str(root), fix=fix)
        _begin(root, marker)
    _check(marker)
    database = database_of(settings, root)
    database.create()
    workspace = Workspace(
        root=root,
        database=database,
        blobs=FolderBlobs(root / "blobs"),
        tables=DeltaTables(root / "tables"),
        clock=SystemClock(),
        settings=settings,
    )
    ensure_default_experiment(workspace)
    return workspace


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


def _begin(root: Path, marker: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        if any(path.name not in _OURS for path in root.iterdir()):
            fix = "Name an empty or new folder with --workspace"
            raise Invalid("the folder holds something else", where=str(root), fix=fix)
        # What Kept stores is no part of anybody's source.
        (root / ".gitignore").write_text("*\n")
        temporary = marker.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(Marker(format=FORMAT)))
        temporary.replace(marker)
    except OSError as error:
        fix = "Free space or name another folder with --workspace"
        raise Unavailable(f"the workspace cannot be made ({error.strerror})", where=str(root), fix=fix) from error


def _check(marker: Path) -> None:
    try:
        found = msgspec.json.decode(marker.read_bytes(), type=Marker).format
    except msgspec.DecodeError as error:
        raise Invalid(f"it cannot be read ({error})", where=str(marker), fix="Restore it from a backup") from error
    if found > FORMAT:
        fix = "Install a newer Kept"
        raise Invalid(f"the workspace has format {found}, this Kept knows {FORMAT}", where=str(marker), fix=fix)
