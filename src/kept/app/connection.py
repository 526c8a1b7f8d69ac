"""A connection to Kept: the same operation, called on a workspace of this machine or on a server."""

from typing import Any, Protocol, TypeVar

import httpx
import msgspec

from kept.core import errors
from kept.core.errors import Forbidden, Invalid, KeptError, Unavailable
from kept.governance.actor import Actor
from kept.governance.operation import Operation
from kept.governance.workspace import Workspace

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
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def call(self, operation: Operation[Request, Answer], request: Request) -> Answer:
        """Does the operation on the server."""
        if not operation.remote:
            raise Forbidden(f"{operation.name} takes a path of the server's machine", fix="Do it on that machine")
        body = self._post(route(operation), msgspec.json.encode(request))
        answer: Answer = msgspec.json.decode(body, type=operation.answer_type)
        return answer

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def _post(self, path: str, body: bytes) -> bytes:
        try:
            response = self._http.post(path, content=body, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            fix = "Start it with kept up, or name another with KEPT_URL"
            raise Unavailable(f"the server does not answer ({error})", where=self.url, fix=fix) from error
        if response.is_success:
            return response.content
        try:
            problem = msgspec.json.decode(response.content, type=Problem)
        except msgspec.DecodeError as error:
            fix = "Name a Kept server with KEPT_URL"
            raise Invalid(f"it answered {response.status_code} in no form of ours", where=self.url, fix=fix) from error
        raise problem.raised()


def route(operation: Operation[Any, Any]) -> str:
    """The path an operation is called at over HTTP: `registry.set_alias` at `/api/v1/registry/set_alias`."""
    return f"/api/v1/{operation.name.replace('.', '/')}"
