"""A POST to a user-given address: to that address and no other, without redirects, within a deadline."""

import base64
import http.client
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from socket import IPPROTO_TCP, SHUT_RDWR, SOCK_STREAM, TCP_NODELAY, create_connection, getaddrinfo, socket
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from kept.core.errors import Forbidden, Unavailable
from kept.registry.webhook_address import is_public

_LARGEST_ANSWER = 65_536
_UNTOUCHED = "!#$%&'()*+,/:;=?@[]~"


class Answer(NamedTuple):
    """What the receiver said."""

    status: int
    body: str
    again_after: str | None
    """Its header `Retry-After`."""


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, private: bool) -> Answer:
    """Posts the body and gives the answer, whatever its status.

    Raises:
        Forbidden: the address leads to this machine or a private network, and that is not allowed.
        Unavailable: nobody answered, or not in time, or not in HTTP.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = (_GuardedSecurely if secure else _Guarded) if not private else None
    opened = kind or (http.client.HTTPSConnection if secure else http.client.HTTPConnection)
    try:
        connection = opened(parts.hostname or "", parts.port, timeout=seconds)
    except http.client.InvalidURL as error:
        raise Forbidden(f"it is no address: {error}", fix="Give the webhook another") from error
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = {**headers, "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    target = quote(parts.path or "/", safe=_UNTOUCHED) + (
        f"?{quote(parts.query, safe=_UNTOUCHED)}" if parts.query else ""
    )
    # A receiver that sends a byte now and then would keep every single read in time.
    late = threading.Timer(seconds, _cut, [connection])
    late.daemon = True
    late.start()
    try:
        connection.request("POST", target, body, dict(headers))
        answer = connection.getresponse()
        said = answer.read(_LARGEST_ANSWER).decode("utf-8", "replace")
        return Answer(answer.status, said, answer.headers.get("Retry-After"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
    finally:
        late.cancel()
        connection.close()


def again_after(header: str | None, now: float) -> float:
    """The seconds that `Retry-After` asks to wait: a number, or a date held against now (seconds since 1970)."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


class _Guarded(http.client.HTTPConnection):
    """Connects only to public addresses: the name is looked up once, and what was looked at is what is connected to.

    What a name led to when it was looked up before says nothing of where it leads now. To an address that is not public not
    even a connection is opened: whether it can be would tell what listens there.
    """

    def connect(self) -> None:
        self.sock = self._connected()
        self.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    def _connected(self) -> socket:
        found = [str(one[4][0]) for one in getaddrinfo(self.host, self.port, type=SOCK_STREAM)]
        for address in found:
            if not is_public(address):
                fix = "Set webhook_private where that is meant"
                raise Forbidden(f"Webhook connection blocked: {address} is not a public IP address", fix=fix)
        trouble = OSError(f"{self.host} leads nowhere")
        for address in dict.fromkeys(found):
            try:
                return create_connection((address, self.port), self.timeout)
            except OSError as error:
                trouble = error
        raise trouble


class _GuardedSecurely(http.client.HTTPSConnection, _Guarded):
    """The same, before the first word of TLS: it connects by way of the class above."""


def _cut(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(SHUT_RDWR)
