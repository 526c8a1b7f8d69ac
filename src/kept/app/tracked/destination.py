"""Where spooled frames go: into a workspace of this machine, or to a server."""

import os
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from kept.app.connection import Remote
from kept.app.workspace import embedded_actor, open_workspace
from kept.core.digests import digest_bytes
from kept.core.errors import Invalid
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.tracking.artifacts import begin_artifact, end_artifact
from kept.tracking.receiving import receive_frames
from kept.tracking.spooled import Received, ReceiveFrames

_SCHEME = "mlflow-artifacts"
_PIECE = 1 << 20


class Destination(Protocol):
    """Takes frames and files."""

    @property
    def address(self) -> str:
        """What people know it by."""
        ...

    @property
    def actor(self) -> str:
        """Who logs, where that is not for the server to say."""
        ...

    @property
    def spools(self) -> Path:
        """The folder of the spools that are for it."""
        ...

    def receive(self, request: ReceiveFrames) -> Received:
        """Keeps frames; durable when it answers."""
        ...

    def put(self, location: str, path: str, file: Path) -> None:
        """Keeps a file below the address of a run's files, in the place of what was there."""
        ...

    def close(self) -> None:
        """Gives back what it was opened with."""
        ...


class InWorkspace:
    """A workspace of this machine."""

    def __init__(self, workspace: Workspace, actor: Actor) -> None:
        self._workspace = workspace
        self._actor = actor
        self.address = str(workspace.root)
        self.actor = actor.name
        self.spools = workspace.root / "logged"

    def receive(self, request: ReceiveFrames) -> Received:
        """Keeps frames."""
        return receive_frames(self._workspace, self._actor, request)

    def put(self, location: str, path: str, file: Path) -> None:
        """Keeps a file."""
        place = _place(location, path)
        with begin_artifact(self._workspace, self._actor, place) as upload, file.open("rb") as stream:
            while piece := stream.read(_PIECE):
                upload.write(piece)
            end_artifact(self._workspace, self._actor, place, upload)

    def close(self) -> None:
        """The workspace stays open: others of this process may use it."""


class OnServer:
    """A server, with the spools in the user's state folder: each server has its own, named by a digest of its address."""

    def __init__(self, settings: Settings) -> None:
        self._remote = Remote(settings.url, settings.token)
        self.address = self._remote.url
        self.actor = ""
        self.spools = spools_of_servers(settings) / digest_bytes(self.address.encode()).removeprefix("sha256:")[:16]

    def receive(self, request: ReceiveFrames) -> Received:
        """Keeps frames."""
        return self._remote.call(receive_frames, request)

    def put(self, location: str, path: str, file: Path) -> None:
        """Keeps a file."""
        self._remote.put(f"/api/2.0/mlflow-artifacts/artifacts/{quote(_place(location, path))}", file)

    def close(self) -> None:
        """Gives the connections back."""
        self._remote.close()


def destination_of(settings: Settings, *, create: bool = True) -> Destination:
    """The server that the settings name, else the workspace of this machine."""
    if settings.url:
        return OnServer(settings)
    return InWorkspace(open_workspace(settings, create=create), embedded_actor(settings, "python"))


def spools_of_servers(settings: Settings) -> Path:
    """The folder in which what is logged waits for servers."""
    if settings.spool:
        return Path(settings.spool).expanduser()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "kept" / "spool"


def _place(location: str, path: str) -> str:
    parts = urlsplit(location)
    if parts.scheme != _SCHEME:
        fix = "Put them there with a tool of that store"
        raise Invalid(f"files of the run stand at {location}, where Kept does not write", where=path, fix=fix)
    return f"{parts.path.strip('/')}/{path}"


def _fits(in_workspace: InWorkspace, on_server: OnServer) -> tuple[Destination, Destination]:
    return in_workspace, on_server
