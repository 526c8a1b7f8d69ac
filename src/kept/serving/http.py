"""The hot way in: predictions are read and answered straight from the HTTP parser's callbacks.

`POST /predict/{endpoint}` and `POST /v2/models/{endpoint}/infer` never become an ASGI request, which would cost more
than the prediction. Everything else does, and so do these when they come with something rare (an `Expect` header, an
escaped path, an ASGI request before them on the same connection): the application answers them the same way.
"""

import asyncio
import hmac
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from kept.core.errors import Invalid, KeptError
from kept.serving.calls import Call
from kept.serving.protocol.answers import error_body
from kept.serving.runtime import Form
from kept.serving.turns import Turns

PREDICT = b"/predict/"
MODELS = b"/v2/models/"
INFER = b"/infer"

_LARGEST_HEAD = 64 * 1024
# A client that is slower than this with one request, or silent for so long between two, is let go.
_SLOWEST_REQUEST = 10.0
_LONGEST_SILENCE = 75.0
_LAST_CHANCE = 0.25
_LINGER = 2.0
_REASONS = {
    200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found", 409: b"Conflict",
    413: b"Content Too Large", 415: b"Unsupported Media Type", 431: b"Request Header Fields Too Large",
    500: b"Internal Server Error", 503: b"Service Unavailable",
}  # fmt: skip
_MORE = {401: b"www-authenticate: Bearer\r\n", 503: b"retry-after: 1\r\n"}


class Door:
    """What every connection of the service shares."""

    def __init__(self, turns: Turns, *, token: str = "", largest_body: int = 16 << 20) -> None:
        self.turns = turns
        self.largest_body = largest_body
        self._expected = f"Bearer {token}".encode() if token else b""

    def admits(self, authorization: bytes) -> bool:
        """Whether a request with this header may pass; compared in constant time."""
        return not self._expected or hmac.compare_digest(authorization, self._expected)

    def refusal(self, headers: dict[bytes, bytes]) -> tuple[int, KeptError] | None:
        """Why a request is turned away by its headers alone, or None."""
        if not self.admits(headers.get(b"authorization", b"")):
            fix = "Send the header Authorization: Bearer and the service's token"
            return 401, Invalid("the token is missing or wrong", where="authorization", fix=fix)
        media = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
        if media != b"application/json" or b"inference-header-content-length" in headers:
            found = "binary tensors" if media == b"application/json" else repr(media.decode("latin-1"))
            return 415, Invalid(f"expected JSON, found {found}", where="content-type", fix="Send application/json")
        if (coding := headers.get(b"content-encoding", b"identity").lower()) != b"identity":
            found = repr(coding.decode("latin-1"))
            return 415, Invalid(
                f"expected a plain body, found {found}", where="content-encoding", fix="Send it as it is"
            )
        if self.too_large(headers):
            return 413, self.too_large_error()
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


class _Pending:
    """A hot request on its connection, from its head to its answer."""

    __slots__ = ("answer", "body", "close", "endpoint", "form", "linger")

    def __init__(self, endpoint: str, form: Form, *, close: bool, linger: bool = False) -> None:
        self.endpoint = endpoint
        self.form: Form = form
        self.body: bytes | bytearray = b""
        self.close = close
        self.linger = linger
        self.answer: bytes | None = None


class PredictionProtocol(HttpToolsProtocol):
    """One connection. Answers leave in the order their requests came."""

    def __init__(
        self,
        door: Door,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._door = door
        self._reading: _Pending | None = None
        self._waiting: deque[_Pending] = deque()
        self._drained: asyncio.Event | None = None
        self._head = 0
        self._ended = False
        self._leaving = False
        self._began: float | None = None
        self._seen = 0.0

    # --- the connection ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._seen = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone: nobody waits for its answers any more."""
        super().connection_lost(exc)
        self._waiting.clear()
        self._set_drained()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._ended:
            return
        self._seen = self.loop.time()
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """The parser gave up: said after the answers that are still due."""
        self._reading = None
        if not self._ended:
            self._refuse(400, Invalid(msg.rstrip("."), where="request", fix="Send HTTP/1.1"))

    def pause_writing(self) -> None:
        """The client does not read its answers: its next requests wait."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self.flow.resume_reading()

    def shutdown(self) -> None:
        """The service ends: what came is answered, and a request on its way gets its chance."""
        self._leaving = True
        if self._is_idle():
            self.loop.call_later(_LAST_CHANCE, self._leave)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def _leave(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()

    def _is_idle(self) -> bool:
        return self._began is None and not self._waiting and (self.cycle is None or self.cycle.response_complete)

    def sweep(self, now: float) -> None:
        """Lets a client go that is too slow, or has been silent for too long."""
        slow = self._began is not None and now - self._began > _SLOWEST_REQUEST
        if slow or (self._is_idle() and now - self._seen > _LONGEST_SILENCE):
            self.transport.abort() if slow else self.transport.close()

    # --- the parser's callbacks -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request's first byte. What ASGI needs is made only when it turns out to be needed."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._head = 0
        self._began = self._seen

    def on_url(self, url: bytes) -> None:
        """A piece of the path."""
        self._weigh(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a chunked body."""
        self._weigh(len(name) + len(value))
        super().on_header(name, value)

    def _weigh(self, size: int) -> None:
        self._head += size
        if self._head > _LARGEST_HEAD and not self._ended:
            fix = f"Send at most {_LARGEST_HEAD} bytes before the body"
            self._refuse(431, Invalid("the head of the request is too large", where="request", fix=fix))

    def on_headers_complete(self) -> None:
        """The head is there: the hot way or the application's."""
        if self._ended:
            return
        target = self._target()
        if target is None:
            self._hand_over()
            return
        endpoint, form = target
        keep = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        headers = dict(self.headers)
        refusal = self._door.refusal(headers)
        if refusal is not None:
            # The body is not read: the connection ends with the refusal.
            self._refuse(*refusal)
            return
        self._reading = _Pending(endpoint, form, close=not keep or self._leaving)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        reading = self._reading
        if self._ended:
            return
        if reading is None:
            super().on_body(body)
        elif not reading.body:
            reading.body = body
        else:
            if isinstance(reading.body, bytes):
                reading.body = bytearray(reading.body)
            reading.body += body
        if reading is not None and len(reading.body) > self._door.largest_body:
            self._reading = None
            self._refuse(413, self._door.too_large_error())

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._began = None
        if self._ended:
            return
        reading = self._reading
        if reading is None:
            super().on_message_complete()
            return
        self._reading = None
        self._waiting.append(reading)
        if reading.close:
            self._ended = True
        self._door.turns.ask(Call(reading.endpoint, reading.form, bytes(reading.body), _Delivery(self, reading)))

    # --- answers ----------------------------------------------------------------------------------------------

    def deliver(self, pending: _Pending, status: int, body: bytes) -> None:
        """Takes an answer and sends what is due, in order."""
        self.server_state.total_requests += 1
        close = pending.close = pending.close or (
            self._leaving and pending is self._waiting[-1] and self._reading is None
        )
        head = b"HTTP/1.1 %d %b\r\n%bcontent-type: application/json\r\n%b%bcontent-length: %d\r\n\r\n" % (
            status,
            _REASONS[status],
            b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers),
            _MORE.get(status, b""),
            b"connection: close\r\n" if close else b"",
            len(body),
        )
        pending.answer = head + body
        self._send()

    def _send(self) -> None:
        waiting, transport = self._waiting, self.transport
        while waiting and (answer := waiting[0].answer) is not None:
            done = waiting.popleft()
            if not transport.is_closing():
                transport.write(answer)
                if done.linger:
                    # The client may still be sending: closing at once would reset the connection under the answer.
                    transport.write_eof()
                    self.loop.call_later(_LINGER, transport.abort)
                elif done.close:
                    transport.close()
        if not waiting:
            self._set_drained()

    def _refuse(self, status: int, error: KeptError) -> None:
        self._ended = True
        self._began = None
        if self.cycle is not None and not self.cycle.response_complete:
            # An application's answer is under way; nothing can be put in order behind it.
            self.transport.close()
            return
        pending = _Pending("", "rows", close=True, linger=True)
        self._waiting.append(pending)
        self.deliver(pending, status, error_body(error))

    # --- the application --------------------------------------------------------------------------------------

    def _target(self) -> tuple[str, Form] | None:
        """Endpoint and form when this is a request for the hot way."""
        url = self.url
        form: Form
        if url.startswith(PREDICT):
            name, form = url[len(PREDICT) :], "rows"
        elif url.startswith(MODELS) and url.endswith(INFER):
            name, form = url[len(MODELS) : -len(INFER)], "tensors"
        else:
            return None
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or self.expect_100_continue or b"%" in name or b"?" in name or b"/" in name or not name.isascii():
            return None
        if self.parser.get_method() != b"POST" or self.parser.should_upgrade():
            return None
        return name.decode("ascii"), form

    def _hand_over(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        if (length := dict(headers).get(b"content-length")) and self._door.too_large({b"content-length": length}):
            self._refuse(413, self._door.too_large_error())
            return
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        try:
            super().on_headers_complete()
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
            self._refuse(400, Invalid("the path is not valid", where="request"))
            return
        if self._leaving:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, self._after_answers(app) if self._waiting else app)

    def _after_answers(self, app: Any) -> Callable[..., Awaitable[None]]:
        """The application, started when the answers before it are out."""
        drained = self._drained = self._drained or asyncio.Event()

        async def run(scope: Any, receive: Any, send: Any) -> None:
            await drained.wait()
            await app(scope, receive, send)

        return run

    def _set_drained(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None


class _Delivery:
    """Brings a call's answer to its place on the connection."""

    __slots__ = ("_pending", "_protocol")

    def __init__(self, protocol: PredictionProtocol, pending: _Pending) -> None:
        self._protocol = protocol
        self._pending = pending

    def __call__(self, call: Call) -> None:
        protocol = self._protocol
        if protocol._waiting:  # noqa: SLF001 - the connection's own delivery; it is empty once the connection is gone
            protocol.deliver(self._pending, call.status, call.answer)
