"""Who may call: this machine, or whoever has the token; and forms only from this server's own pages."""

import base64
import hmac
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from kept.settings.exposure import own_names
from kept.settings.settings import Settings

_SAFE = {"GET", "HEAD", "OPTIONS"}
Call = ASGIConnection[Any, Any, Any, Any]


class Gate:
    """The guard of every route but health."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token.encode()
        self._names = own_names(settings)

    async def __call__(self, connection: Call, _: BaseRouteHandler) -> None:
        """Passes, or raises 401 or 403. It does not wait; were it not async, the framework would send it to a thread."""
        if self._token:
            if not hmac.compare_digest(_token_in(connection.headers.get("authorization", "")), self._token):
                raise NotAuthorizedException(
                    "The token is missing or wrong. Send Authorization: Bearer TOKEN", headers=_challenge(connection)
                )
        elif not self._names.has(connection.headers.get("host", "")):
            raise PermissionDeniedException("This server is not known under that name")
        origin = connection.headers.get("origin")
        foreign = origin is not None and _place(origin) != connection.headers.get("host", "")
        cross = connection.headers.get("sec-fetch-site") in {"cross-site", "same-site"}
        if connection.scope["method"] not in _SAFE and (foreign or cross):  # type: ignore[typeddict-item]
            raise PermissionDeniedException("A page of another site may not ask for this")


def own_page(connection: Call, _: BaseRouteHandler) -> None:
    """Lets only forms of our own pages through: whoever sends one must say so, as every browser does by itself.

    The browser adds a password that a person has given to whatever is sent here, from wherever; a program, which could
    say anything, has the operations themselves.
    """
    headers = connection.headers
    own = _place(headers.get("origin", "")) == headers.get("host", "") or headers.get("sec-fetch-site") == "same-origin"
    if not own:
        raise PermissionDeniedException("Only a page of this server may send this form")


def _token_in(header: str) -> bytes:
    """The token, as programs send it (`Bearer`), or as the password that a browser asks a person for (`Basic`)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except ValueError:  # no base64, or not even in ASCII
            return b""
    return value.strip().encode() if scheme.lower() == "bearer" else b""


def _place(origin: str) -> str | None:
    """Host and port of an origin; None of what is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _challenge(connection: Call) -> dict[str, str]:
    """What makes a browser ask for the token; programs are not asked."""
    reads_pages = "text/html" in connection.headers.get("accept", "")
    return {"WWW-Authenticate": 'Basic realm="Kept", charset="UTF-8"' if reads_pages else "Bearer"}
