"""The file `workspace.json`: it marks a folder as a workspace and names its format and where its records are."""

from pathlib import Path

import msgspec

from kept.core.errors import Invalid, Unavailable
from kept.core.ids import new_id

FORMAT = 2
"""Since 2 it says where the records are. A Kept that knows a smaller number leaves the workspace alone."""
SQLITE = "sqlite"
_NAME = "workspace.json"
# What a prediction service that was started first, or a beginning that was cut short, leaves in the folder.
_OURS = {"blobs", "logs", "serving", "spool", "workspace.new"}


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says."""

    format: int
    database: str = ""
    """`sqlite`, or the address of a PostgreSQL database without its password; '' before there are records."""


def read_marker(root: Path) -> Marker | None:
    """What the folder says of itself; None when it is no workspace, `Invalid` when that can not be understood."""
    path = root / _NAME
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Marker)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.DecodeError as error:
        raise Invalid(f"it cannot be read ({error})", where=str(path), fix="Restore it from a backup") from error
    except OSError as error:
        fix = "Check who may use the folder"
        raise Unavailable(f"it cannot be read ({error.strerror})", where=str(path), fix=fix) from error
    if found.format > FORMAT:
        fix = "Install a newer Kept"
        raise Invalid(f"the workspace has format {found.format}, this Kept knows {FORMAT}", where=str(path), fix=fix)
    return found


def begin(root: Path) -> None:
    """Makes a workspace of an empty or new folder. Any number of processes may do it at once."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in root.iterdir()} - _OURS
    except OSError as error:
        raise _unavailable(root, "the workspace cannot be made", error) from error
    if any(not name.startswith(_NAME) for name in there):
        # Another process may have made it since we looked; what it makes of it comes after the marker.
        if read_marker(root) is not None:
            return
        fix = "Name an empty or new folder with --workspace"
        raise Invalid("the folder holds something else", where=str(root), fix=fix)
    if read_marker(root) is None:
        write_marker(root, Marker(format=FORMAT))


def write_marker(root: Path, marker: Marker) -> None:
    """Puts the file in its place, whole."""
    temporary = root / f"{_NAME}.{new_id()}.new"
    try:
        temporary.write_bytes(msgspec.json.encode(marker))
        temporary.replace(root / _NAME)
        # What Kept stores is no part of anybody's source.
        (root / ".gitignore").write_text("*\n")
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unavailable(root, "the workspace cannot be written", error) from error


def _unavailable(root: Path, what: str, error: OSError) -> Unavailable:
    fix = "Free space or name another folder with --workspace"
    return Unavailable(f"{what} ({error.strerror})", where=str(root), fix=fix)
