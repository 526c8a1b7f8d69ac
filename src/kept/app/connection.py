"""A connection to Kept: the same operation, called on a workspace of this machine or on a server."""

from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from kept.core import errors
from kept.core.errors import Forbidden, Invalid, KeptError, Unavailable
from kept.governance.actor import Actor
from kept.governance.operation import Operation
from kept.governance.workspace import Workspace

_PIECE = 1 << 20
_UNKNOWN, _TOO_MANY, _SERVER_FAULT = 401, 429, 500

Request = TypeVar("Request", bound=msgspec.Struct)
Answer = TypeVar("Answer")


class Connection(Protocol):
    """Calls operations."""

    def call(self, operation: Operation[Request, Answer], request: Request) -> Answer:
        """Does the operation, with its checks and its record, and gives its answer."""
        ...


class Embedded:
    """A workspace of this machine, used as its owner."""

    def __init__(self, workspace: Workspace, actor: Actor) -> None:
        self.workspace = workspace
        self.actor = actor

    def call(self, operation: Operation[Request, Answer], request: Request) -> Answer:
        """Does the operation here."""
        return operation(self.workspace, self.actor, request)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it travels: which of the tree it is, and its three parts."""

    error: str
    what: str
    where: str | None = None
    fix: str | None = None

    def raised(self) -> KeptError:
        """The error of the tree."""
        kind = getattr(errors, self.error, KeptError)
        return kind(self.what, where=self.where, fix=self.fix)


class Remote:
    """A server."""

    def __init__(self, url: str, token: str = "") -> None:
        # Whoever works on this machine, as the server does, is spared what it takes to load.
        import httpx  # noqa: PLC0415

        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self._faults = httpx.HTTPError

    def call(self, operation: Operation[Request, Answer], request: Request) -> Answer:
        """Does the operation on the server."""
        if not operation.remote:
            raise Forbidden(f"{operation.name} takes a path of the server's machine", fix="Do it on that machine")
        body = self._post(route(operation), msgspec.json.encode(request))
        answer: Answer = msgspec.json.decode(body, type=operation.answer_type)
        return answer

    def put(self, path: str, file: Path) -> None:
        """Sends a file to a path of the server, in pieces."""
        size = file.stat().st_size
        with file.open("rb") as stream:
            headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
            pieces = iter(lambda: stream.read(_PIECE), b"")
            # It answers when the whole file is on its disk.
            self._send("PUT", path, content=pieces, headers=headers, timeout=(30, 600, 30, 30))

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def _post(self, path: str, body: bytes) -> bytes:
        return self._send("POST", path, content=body, headers={"Content-Type": "application/json"})

    def _send(self, method: str, path: str, **request: Any) -> bytes:
        try:
            response = self._http.request(method, path, **request)
        except self._faults as error:
            fix = "Start it with kept up, or name another with KEPT_URL"
            raise Unavailable(f"the server does not answer ({error})", where=self.url, fix=fix) from error
        if response.is_success:
            return response.content
        if response.status_code == _UNKNOWN:
            raise Forbidden("the token is missing or wrong", where=self.url, fix="Set KEPT_TOKEN to the server's token")
        try:
            problem = msgspec.json.decode(response.content, type=Problem)
        except msgspec.DecodeError as error:
            raise self._refused(response.status_code) from error
        raise problem.raised()

    def _refused(self, status: int) -> KeptError:
        """What an answer means that is in no form of ours: it may be that of a proxy, or of another server."""
        if status in {401, 403}:
            return Forbidden("the server does not know the token", where=self.url, fix="Set KEPT_TOKEN to its token")
        if status == _TOO_MANY or status >= _SERVER_FAULT:
            return Unavailable(f"the server answers {status}", where=self.url, fix="Try again when it is back")
        fix = "Name a Kept server with KEPT_URL"
        return Invalid(f"it answered {status} in no form of ours", where=self.url, fix=fix)


def route(operation: Operation[Any, Any]) -> str:
    """The path an operation is called at over HTTP: `registry.set_alias` at `/api/v1/registry/set_alias`."""
    return f"/api/v1/{operation.name.replace('.', '/')}"
