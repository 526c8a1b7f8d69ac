"""How much of a head the web server takes in: what uvicorn itself leaves to whoever stands before it."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
MOST_HEADERS = 256
# At least what is read from a socket at once, which may hold other requests before the head it ends with.
_LARGEST_READ = 1 << 20
_LINGER = 2.0
_SAID = b'{"error":"the head of the request is too large"}'
_ANSWER = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b"
) % (len(_SAID), _SAID)


class BoundedProtocol(HttpToolsProtocol):
    """One connection whose requests' heads, trailers included, are bounded in bytes and headers; one beyond is answered 431."""

    _head = _headers = _raw = 0
    _in_head = True
    _refused = False

    def data_received(self, data: bytes) -> None:
        """Bytes from the client. A header that has not ended is kept by the parser, which tells nobody how long it is."""
        if self._refused:
            return
        super().data_received(data)
        if self._in_head and not self._refused:
            self._raw += len(data)
            if self._raw > LARGEST_HEAD + _LARGEST_READ:
                self._refuse()

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._head = self._headers = self._raw = 0
        self._in_head = True
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
        self._in_head = False
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; the next bytes are of another head."""
        self._in_head, self._raw = True, 0
        if not self._refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser gave up; not of what was refused."""
        if not self._refused:
            super().send_400_response(msg)

    def _takes(self, size: int, headers: int) -> bool:
        self._head += size
        self._headers += headers
        if not self._refused and (self._head > LARGEST_HEAD or self._headers > MOST_HEADERS):
            self._refuse()
        return not self._refused

    def _refuse(self) -> None:
        self._refused = True
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            # An answer is under way, and nothing can be put in order behind it.
            self.transport.close()
            return
        self.transport.write(_ANSWER)
        # The client may still be sending: closing at once would reset the connection under the answer.
        self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.abort)
