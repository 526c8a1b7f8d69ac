"""Limits on request heads: bytes and time, which uvicorn leaves to whoever stands before it."""

import asyncio
import fcntl
import termios
import time
from array import array
from contextlib import suppress
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from kept.core.offers import PassingOverOffers

LARGEST_HEAD = 64 * 1024
MOST_HEADERS = 256
# At least what is read from a socket at once, which may hold other requests before the head it ends with.
_LARGEST_READ = 1 << 20
_LINGER = 2.0
_REASONS = {
    408: (b"Request Timeout", b'{"error":"the head of the request took too long"}'),
    431: (b"Request Header Fields Too Large", b'{"error":"the head of the request is too large"}'),
}
_ANSWER = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long connections are waited for, and how many at once."""

    head: float = 10.0
    """Seconds from a head's first byte to its last."""
    silence: float = 75.0
    """Seconds without the first byte of a head, without any of a body, or in which no answer is taken."""
    megabyte: float = 600.0
    """Seconds that a megabyte of a body may take on average, on top of `silence`."""
    connections: int


class BoundedProtocol(PassingOverOffers):
    """One connection whose requests' heads, trailers included, are bounded in bytes and headers (one beyond is answered 431)
    and in time (408). When there are too many connections, those give way (one, or a hundredth of them) that have waited longest
    for a head; where none waits for one, for more of a body.
    """

    _head = _headers = _raw = 0
    _in_head = True
    _began = False
    _body = 0
    """Bytes of the body that came."""
    _body_since = 0.0
    """When it began, later by the time for which nothing could be sent."""
    _looked = 0.0
    since = 0.0
    """The moment from which the client is waited for; finer than the clock of the loop, which is the same for many."""
    _left = 0
    """Bytes that were still to be sent when it was last looked."""
    _left_since = 0.0
    _refused = False
    _look: asyncio.TimerHandle | None = None

    def __init__(
        self,
        patience: Patience,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._patience = patience

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self.since = time.monotonic()
        self._look_later()
        if len(self.connections) > self._patience.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client. A header that has not ended is kept by the parser, which tells nobody how long it is."""
        if self._refused:
            return
        super().data_received(data)
        if self._in_head and not self._refused:
            self._raw += len(data)
            if self._raw > LARGEST_HEAD + _LARGEST_READ:
                self._refuse(431)

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._head = self._headers = self._raw = 0
        self._in_head = self._began = True
        self.since = time.monotonic()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the path."""
        if self._takes(len(url), 0):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a chunked body."""
        if self._takes(len(name) + len(value), 1):
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        if self.makes_offer():
            return
        self._in_head = False
        self._body, self._body_since = 0, time.monotonic()
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self.since = time.monotonic()
        self._body += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; the next bytes are of another head."""
        if self.offers:
            return
        self._in_head, self._began, self._raw = True, False, 0
        if not self._refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer has been sent: the next head is waited for."""
        if not self._began:
            self.since = time.monotonic()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser gave up; not of what was refused."""
        if not self._refused:
            super().send_400_response(msg)

    def _takes(self, size: int, headers: int) -> bool:
        self._head += size
        self._headers += headers
        if not self._refused and (self._head > LARGEST_HEAD or self._headers > MOST_HEADERS):
            self._refuse(431)
        return not self._refused

    @property
    def _answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    @property
    def waits(self) -> bool:
        """Whether nothing is done here but waiting for the end of a head."""
        return self._in_head and not self._refused and not self._answering

    @property
    def unfinished(self) -> bool:
        """Whether more of a body is waited for."""
        return not self._in_head and not self._refused

    def _look_later(self) -> None:
        self._look = self.loop.call_later(self._patience.head / 2, self._look_at_time)

    def _look_at_time(self) -> None:
        now = time.monotonic()
        left = self._unsent()
        if self.flow.read_paused or left:
            # It is not the client's turn to send.
            self.since = now
            self._body_since += now - max(self._looked, self._body_since)
        if left != self._left or not left:
            self._left, self._left_since = left, now
        self._looked = now
        waited = now - self.since
        if self._in_head and self._began and not self._refused and waited > self._patience.head:
            self._refuse(408)
        elif self._slow(waited) or self._trickles(now) or now - self._left_since > self._patience.silence:
            # Whoever has asked nothing is told nothing; who left a body unfinished, or takes no answer, does not listen.
            self.transport.close()
            self.loop.call_later(_LINGER, self.transport.abort)
        else:
            self._look_later()

    def _unsent(self) -> int:
        """Bytes of answers that the client has not taken. What the system holds counts while more waits behind it: it asks for
        more only in large steps, which somebody slow takes minutes for.
        """
        left = self.transport.get_write_buffer_size()
        if not left:
            return 0
        held = array("i", [0])
        with suppress(OSError):
            fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, held)
        return left + held[0]

    def _slow(self, waited: float) -> bool:
        return (self.waits or self.unfinished) and waited > self._patience.silence

    def _trickles(self, now: float) -> bool:
        """Whether so little of a body has come in all its time that the connection is held by it, and no more."""
        return (
            self.unfinished
            and now - self._body_since > self._patience.silence + self._patience.megabyte * self._body / 1e6
        )

    def _make_room(self) -> None:
        others = [one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self]
        if waiting := [one for one in others if one.waits] or [one for one in others if one.unfinished]:
            # A hundredth of them at once: to look through all of them for each new one would be the attack itself.
            for one in nsmallest(max(1, len(waiting) // 100), waiting, key=lambda one: one.since):
                one.transport.abort()

    def _refuse(self, status: int) -> None:
        self._refused = True
        if self._answering:
            # An answer is under way, and nothing can be put in order behind it.
            self.transport.close()
            return
        reason, said = _REASONS[status]
        self.transport.write(_ANSWER % (status, reason, len(said), said))
        # The client may still be sending: closing at once would reset the connection under the answer.
        self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.abort)
