"""Admission: which request may come in, by its head alone, and what it brings."""

import string
from collections.abc import Mapping

from kept.core.errors import Forbidden, Invalid, KeptError
from kept.core.spans import Traces
from kept.serving.request import Request
from kept.serving.turns import Turns
from kept.settings.exposure import OwnNames

TIMEOUT_HEADER = b"x-request-timeout-ms"
TRACE_HEADER = b"traceparent"
_JSON_SIZE = b"inference-header-content-length"
_JSON = b"application/json"
_SITE = b"sec-fetch-site"
_OTHER_SITES = {b"cross-site", b"same-site"}
_DIGITS = frozenset(string.digits.encode())
# Bodies on their way in may hold this much together; each alone may be as large as the door allows.
_MOST_HELD = 256 << 20
_LONGEST_TIMEOUT_MS = 3_600_000
# Names that need not be looked at again, each as it stands in requests.
_MOST_KNOWN = 64

Refusal = tuple[int, KeptError]


class Door:
    """What every connection of the service shares.

    Args:
        turns: takes the calls.
        callers: the secrets that are let in, and whose they are; when there is none, everybody is let in.
        largest_body: in bytes.
        most_connections: beyond these, those that are idle are let go for new ones.
        traces: who is told of requests.
        names: what the service is known by, where everybody is let in; other names are none of its own.
    """

    def __init__(
        self,
        turns: Turns,
        *,
        callers: Mapping[str, str] | None = None,
        largest_body: int = 16 << 20,
        most_connections: int = 1 << 20,
        traces: Traces | None = None,
        names: OwnNames | None = None,
    ) -> None:
        self.turns = turns
        self.largest_body = largest_body
        self.most_connections = most_connections
        self.traces = traces
        self.held = 0
        self._made_of: list[tuple[bytes, bytes]] = []
        self._made = b""
        # Found by hash: how long that takes says nothing of how much of a wrong secret is right.
        self._callers = {f"Bearer {secret}".encode(): name for secret, name in (callers or {}).items()}

        self._names = names or OwnNames()
        # As they stand in requests. What sends none is no browser.
        self._known: set[bytes | None] = {None}

    def lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The headers of every answer as they are sent. Their list is replaced once a second (it holds the date), never changed."""
        if headers is not self._made_of:
            self._made_of, self._made = headers, b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._made

    def caller(self, authorization: bytes) -> str | None:
        """Who asks, by this header; None when they may not."""
        return self._callers.get(authorization) if self._callers else ""

    def turned_away(self, headers: dict[bytes, bytes]) -> Refusal | None:
        """Why a sender is turned away whatever is asked: for want of a secret, or for a name that is not the service's own."""
        if self._callers:
            return (401, not_admitted()) if self.caller(headers.get(b"authorization", b"")) is None else None
        host = headers.get(b"host")
        if host in self._known:
            return None
        name = (host or b"").decode("latin-1")
        if not self._names.has(name):
            fix = "Ask for it by localhost or its address, or name it in the setting known_as"
            return 403, Forbidden(f"the service is not known as {name!r}", where="host", fix=fix)
        if len(self._known) < _MOST_KNOWN:
            self._known.add(host)
        return None

    def examine(self, headers: dict[bytes, bytes], request: Request) -> Refusal | None:
        """Why a request is turned away by its headers alone; or None, and what they say is noted on it."""
        refusal = None
        if self._callers:
            caller = self._callers.get(headers.get(b"authorization", b""))
            if caller is None:
                return 401, not_admitted()
            request.caller = caller
        elif headers.get(b"host") not in self._known:
            refusal = self.turned_away(headers)
        if b"origin" in headers or _SITE in headers:
            refusal = refusal or self._examine_page(headers)
        if self.traces is not None:
            request.trace = self.traces.sampled(headers.get(TRACE_HEADER, b""))
        media = headers.get(b"content-type", _JSON)
        if media != _JSON or _JSON_SIZE in headers:
            refusal = refusal or _examine_form(media, headers.get(_JSON_SIZE), request)
        if b"content-encoding" in headers or TIMEOUT_HEADER in headers:
            refusal = refusal or _examine_rare(headers, request)
        if refusal is not None:
            return refusal
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18 or int(length) > self.largest_body:
            return 413, self.too_large_error()
        request.announced = int(length)
        return None

    def _examine_page(self, headers: dict[bytes, bytes]) -> Refusal | None:
        """Why a page may not ask, by what its browser says of it."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if origin is not None and origin.rpartition(b"/")[2] != host:
            return 403, foreign_page(f"a page of {origin.decode('latin-1')!r}", "origin")
        if (site := headers.get(_SITE)) in _OTHER_SITES:
            return 403, foreign_page(f"a page that is {site.decode('latin-1')}", _SITE.decode())
        return None

    def too_large(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the announced length is beyond the limit."""
        length = headers.get(b"content-length", b"0")
        return not length.isdigit() or len(length) > 18 or int(length) > self.largest_body

    def too_large_error(self) -> KeptError:
        """What is said of a body beyond the limit."""
        return Invalid(
            f"the body is larger than {self.largest_body} bytes", where="body", fix="Send fewer rows at once"
        )

    @property
    def is_full(self) -> bool:
        """Whether the bodies on their way in hold all the memory that they may."""
        return self.held > _MOST_HELD


def _examine_form(sent: bytes, json_size: bytes | None, request: Request) -> Refusal | None:
    """What kind of body it is: JSON, CSV, or JSON with tensors as bytes behind it."""
    media = sent.partition(b";")[0].strip().lower()
    form = request.form
    if form == "invocations" and media == b"text/csv":
        request.form = "csv"
        return None
    if json_size is not None and form == "tensors":
        if not _is_number(json_size):
            what = f"expected a number of bytes, found {json_size.decode('latin-1')!r}"
            return 400, Invalid(what, where=_JSON_SIZE.decode())
        request.json_size = int(json_size)
        if media == b"application/octet-stream":
            return None
    elif json_size is not None:
        fix = "Send it to /v2/models/{endpoint}/infer, or send application/json"
        return 415, Invalid("expected JSON, found binary tensors", where=_JSON_SIZE.decode(), fix=fix)
    if media == _JSON:
        return None
    expected = "JSON or CSV" if form == "invocations" else "JSON"
    fix = "Send application/json or text/csv" if form == "invocations" else "Send application/json"
    return 415, Invalid(f"expected {expected}, found {media.decode('latin-1')!r}", where="content-type", fix=fix)


def _examine_rare(headers: dict[bytes, bytes], request: Request) -> Refusal | None:
    if (coding := headers.get(b"content-encoding", b"identity").lower()) != b"identity":
        what = f"expected a plain body, found {coding.decode('latin-1')!r}"
        return 415, Invalid(what, where="content-encoding", fix="Send it as it is")
    if (given := headers.get(TIMEOUT_HEADER)) is not None:
        if not _is_number(given) or not 0 < int(given) <= _LONGEST_TIMEOUT_MS:
            what = f"expected milliseconds from 1 to {_LONGEST_TIMEOUT_MS}, found {given.decode('latin-1')!r}"
            return 400, Invalid(what, where=TIMEOUT_HEADER.decode())
        request.timeout_us = int(given) * 1000
    return None


def not_admitted() -> KeptError:
    """What is said without a token, or with a wrong one."""
    fix = "Send the header Authorization: Bearer and the service's token"
    return Invalid("the token is missing or wrong", where="authorization", fix=fix)


def foreign_page(page: str, where: str) -> KeptError:
    """What is said to another site's page."""
    fix = "Ask from a program, or from a page of this address"
    return Forbidden(f"{page} may not ask", where=where, fix=fix)


def _is_number(text: bytes) -> bool:
    return 0 < len(text) <= 18 and _DIGITS.issuperset(text)
