"""Where the files of judged versions stand: among all files that the proxy gives, below a folder of their own.

Nobody writes there: what was judged never changes.
"""

from pathlib import Path

from kept.mlflow_api.call import Call
from kept.mlflow_api.errors import PERMISSION_DENIED, Refused
from kept.registry.exported_files import list_version_files, open_version_file
from kept.registry.registered import RegisteredVersion
from kept.tracking.artifact_files import FileEntry
from kept.tracking.location import ROOT

_FOLDER = "judged-versions"


def address_of(version: RegisteredVersion) -> str:
    """Where a client fetches the files of a version."""
    return f"{ROOT}{_FOLDER}/{version.id}" if version.judged else version.location


def is_of_version(path: str) -> bool:
    """Whether a path below the folder of all files is one of a judged version."""
    return path.split("/", 1)[0] == _FOLDER and path != _FOLDER


def list_files(call: Call, path: str) -> list[FileEntry]:
    """What is directly in a folder of a judged version."""
    return list_version_files(call.workspace, call.actor, _within(path))


def find_file(call: Call, path: str) -> Path:
    """Where a file of a judged version is."""
    return open_version_file(call.workspace, call.actor, _within(path))


def refuse_change(path: str) -> None:
    """Refuses to write or delete files of judged versions."""
    if path.split("/", 1)[0] == _FOLDER:
        raise Refused(PERMISSION_DENIED, f"'{path}' belongs to a version that was judged: its files never change.")


def _within(path: str) -> str:
    return path.split("/", 1)[1]
