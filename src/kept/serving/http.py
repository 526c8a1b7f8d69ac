"""The hot way in: predictions are read and answered straight from the HTTP parser's callbacks.

`POST /predict/{endpoint}`, `POST /v2/models/{endpoint}[/versions/{number}]/infer` and `POST /invocations/{endpoint}` never become
an ASGI request, which would cost more than the prediction. Everything else does, and so do these when they come with
something rare (an `Expect` header, an escaped path, an ASGI request before them on the same connection): the application
answers them the same way.
"""

import asyncio
import sys
from collections import deque
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from kept.core.errors import Invalid, KeptError, Unavailable
from kept.core.offers import PassingOverOffers
from kept.serving.calls import Call
from kept.serving.door import Door
from kept.serving.faults import raised
from kept.serving.protocol.answers import error_body
from kept.serving.protocol.forms import Form
from kept.serving.request import Request

_PREDICT = b"/predict/"
_MODELS = b"/v2/models/"
_INFER = b"/infer"
_VERSIONS = b"/versions/"
_INVOCATIONS = b"/invocations/"

_LARGEST_HEAD = 64 * 1024
# At least what is read from a socket at once, which may end with the beginning of a head.
_LARGEST_READ = 1 << 20
# A client that is slower than this with one request, or silent for so long between two, is let go.
_SLOWEST_REQUEST = 10.0
_LONGEST_SILENCE = 75.0
_LAST_CHANCE = 0.25
_LINGER = 2.0
# Larger bodies are not read when it is plain from their length that they could not be answered in time.
_LARGE = 4096
_JSON = b"content-type: application/json\r\n"
_BINARY = b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n"
_REASONS = {
    200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found", 409: b"Conflict",
    413: b"Content Too Large", 415: b"Unsupported Media Type", 422: b"Unprocessable Content", 429: b"Too Many Requests",
    431: b"Request Header Fields Too Large", 500: b"Internal Server Error", 503: b"Service Unavailable",
}  # fmt: skip
_MORE = {401: b"www-authenticate: Bearer\r\n", 429: b"retry-after: 1\r\n", 503: b"retry-after: 1\r\n"}
_ENDS = error_body(
    Unavailable("the service ends, and this could not be answered before", where="service", fix="Try again in a moment")
)
# So many requests of one connection may wait for the one before them: its next ones are not read.
_MOST_AHEAD = 2_000
# A connection that was refused and comes again within this time, although it was asked to wait, is left unread for as long.
_LEFT_UNREAD = 0.1


class PredictionProtocol(PassingOverOffers):
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
        self._reading: Request | None = None
        self._waiting: deque[Request] = deque()
        self._drained: asyncio.Event | None = None
        self._head = 0
        self._raw = 0
        self._in_head = False
        self._ended = False
        self._leaving = False
        self._began: float | None = None
        self._seen = 0.0
        self._refused_at = 0.0
        self._unread = False
        self._crowded = False

    # --- the connection ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._seen = self.loop.time()
        if len(self.connections) > self._door.most_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone: nobody waits for its answers any more."""
        super().connection_lost(exc)
        self._let_go(self._reading)
        self._reading = None
        self._waiting.clear()
        self._set_drained()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._ended:
            return
        self._seen = self.loop.time()
        super().data_received(data)
        if self._began is not None and not self._ended:
            self._taken_in(len(data))

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, and may still read: what it has asked is answered before the connection ends."""
        torn = self._began is not None and self._reading is None
        if self._is_busy() and not torn:
            self.cycle.keep_alive = False
        elif self._waiting:
            self._waiting[-1].close = True
        else:
            return False
        self._let_go(self._reading)
        self._reading = self._began = None
        self._ended = True
        return True

    def send_400_response(self, msg: str) -> None:
        """The parser gave up, or what it called did: said after the answers that are still due."""
        self._let_go(self._reading)
        self._reading = None
        error = sys.exception()
        if self._ended:
            return
        if isinstance(error, httptools.HttpParserCallbackError):
            cause = error.__context__ if isinstance(error.__context__, Exception) else error
            self._refuse(500, raised(self._door.turns.counters, "reading", "request", cause))
        else:
            self._refuse(400, Invalid(msg.rstrip("."), where="request", fix="Send HTTP/1.1"))

    def pause_writing(self) -> None:
        """The client does not read its answers: its next requests wait."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._read_on()

    def shutdown(self) -> None:
        """The service ends: what came is answered, and a request on its way gets its chance."""
        self._leaving = True
        if self._is_idle():
            self.loop.call_later(_LAST_CHANCE, self._leave)
        if self._is_busy():
            self.cycle.keep_alive = False

    def give_up(self) -> None:
        """The service has no more time: what is still waited for is answered with that."""
        for pending in [one for one in self._waiting if one.answer is None]:
            self.deliver(pending, 503, _ENDS)

    def _leave(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()

    def _make_room(self) -> None:
        """Lets the connection go that has been silent for longest, so that new clients are answered."""
        idle = [
            one for one in self.connections if isinstance(one, PredictionProtocol) and one is not self and one.is_idle
        ]
        if idle:
            min(idle, key=lambda one: one._seen).transport.abort()  # noqa: SLF001 - another connection of this class

    @property
    def is_idle(self) -> bool:
        """Whether it has no request, whole or in part."""
        return self._is_idle()

    def _is_idle(self) -> bool:
        return self._began is None and not self._waiting and not self._is_busy()

    def _is_busy(self) -> bool:
        """Whether the application is at a request."""
        return self.cycle is not None and not self.cycle.response_complete

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
        self._head = self._raw = 0
        self._in_head = True
        self._began = self._seen

    def on_url(self, url: bytes) -> None:
        """A piece of the path."""
        self._weigh(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a chunked body."""
        self._weigh(len(name) + len(value))
        name = name.lower()
        if name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        self.headers.append((name, value))

    def _weigh(self, size: int) -> None:
        self._head += size
        if self._head > _LARGEST_HEAD and not self._ended:
            self._refuse_head()

    def _refuse_head(self) -> None:
        fix = f"Send at most {_LARGEST_HEAD} bytes before the body"
        self._refuse(431, Invalid("the head of the request is too large", where="request", fix=fix))

    def _taken_in(self, size: int) -> None:
        """Weighs what the parser was given of a request that is not whole: it keeps a header to itself until the header ends.

        Behind the head that is what is no body (chunks' sizes, trailers), less as much as the body has.
        """
        self._raw += size
        if self._in_head:
            if self._raw > _LARGEST_HEAD + _LARGEST_READ:
                self._refuse_head()
        elif self._raw > _LARGEST_READ:
            self._let_go(self._reading)
            self._reading = None
            self._refuse(413, self._door.too_large_error())

    def on_headers_complete(self) -> None:
        """The head is there: the hot way or the application's."""
        self._in_head = False
        if self.makes_offer() or self._ended:
            return
        target = self._target()
        if target is None:
            self._hand_over()
            return
        keep = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        request = Request(*target, close=not keep or self._leaving)
        refusal = self._door.examine(dict(self.headers), request)
        if refusal is not None:
            # The body is not read: the connection ends with the refusal.
            self._refuse(*refusal)
            return
        self._reading = request
        if request.announced > _LARGE and not self._door.turns.admits(
            request.caller, request.announced, request.timeout_us
        ):
            # Its body would be read for nothing: it is dropped as it comes.
            request.shed = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._raw -= 2 * len(body)
        reading = self._reading
        if self._ended:
            return
        if reading is None:
            super().on_body(body)
        elif not reading.body:
            reading.body = b"" if reading.shed else body
        else:
            self._add(reading, body)
        if reading is not None and len(reading.body) > self._door.largest_body:
            self._turn_away(reading, 413, error_body(self._door.too_large_error()))

    def _add(self, reading: Request, body: bytes) -> None:
        """A further piece of a body. What all bodies hold is counted from their second piece on: small ones come in one."""
        door = self._door
        if isinstance(reading.body, bytes):
            door.held += len(reading.body)
            reading.body = bytearray(reading.body)
        reading.body += body
        door.held += len(body)
        if door.is_full:
            self._turn_away(reading, 429, door.turns.refuse(reading.endpoint))

    def _let_go(self, reading: Request | None) -> None:
        """Gives back what a body held."""
        if reading is not None and isinstance(reading.body, bytearray):
            self._door.held -= len(reading.body)
            reading.body = b""

    def _turn_away(self, reading: Request, status: int, said: bytes) -> None:
        if self._ended:
            return
        self._let_go(reading)
        self._reading = None
        self._end_with(status, said)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.offers:
            return
        self._began = None
        if self._ended:
            return
        reading = self._reading
        if reading is None:
            super().on_message_complete()
            return
        self._reading = None
        self._waiting.append(reading)
        if len(self._waiting) > _MOST_AHEAD:
            self._crowded = True
            self.flow.pause_reading()
        if reading.close:
            self._ended = True
        body = reading.body
        if isinstance(body, bytearray):
            body = bytes(body)
            self._let_go(reading)
        turns, size = self._door.turns, len(body)
        try:
            if reading.shed or not turns.admits(reading.caller, size, reading.timeout_us):
                self._shed(reading)
                return
            turns.ask(Call(reading, body, size, _Delivery(self, reading)))
        except Exception as error:  # noqa: BLE001 - those behind it would wait for its answer for ever
            self.deliver(reading, 500, error_body(raised(turns.counters, "reading", "request", error)))

    def _shed(self, request: Request) -> None:
        """Refuses a request that could not be answered in time, at once and cheaply."""
        now = self.loop.time()
        if now - self._refused_at < _LEFT_UNREAD and not self._unread:
            self._unread = True
            self.flow.pause_reading()
            self.loop.call_later(_LEFT_UNREAD, self._read_again)
        self._refused_at = now
        self.deliver(request, 429, self._door.turns.refuse(request.endpoint))

    def _read_again(self) -> None:
        self._unread = False
        self._read_on()

    def _read_on(self) -> None:
        """Reads again, unless there is a reason left not to."""
        if not (self._unread or self._crowded or self.flow.write_paused or self.transport.is_closing()):
            self.flow.resume_reading()

    # --- answers ----------------------------------------------------------------------------------------------

    def deliver(self, pending: Request, status: int, body: bytes, json_size: int = 0) -> None:
        """Takes an answer and sends what is due, in order; `json_size` is given when tensors follow the JSON as bytes."""
        self.server_state.total_requests += 1
        close = pending.close = pending.close or (
            self._leaving and pending is self._waiting[-1] and self._reading is None
        )
        head = b"HTTP/1.1 %d %b\r\n%b%b%b%bcontent-length: %d\r\n\r\n" % (
            status,
            _REASONS[status],
            _BINARY % json_size if json_size else _JSON,
            self._door.lines(self.server_state.default_headers),
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
        if self._crowded and len(waiting) <= _MOST_AHEAD:
            self._crowded = False
            self._read_on()
        if not waiting:
            self._set_drained()

    def _refuse(self, status: int, error: KeptError) -> None:
        self._end_with(status, error_body(error))

    def _end_with(self, status: int, said: bytes) -> None:
        self._ended = True
        self._began = None
        if self._is_busy():
            # An application's answer is under way; nothing can be put in order behind it.
            self.transport.close()
            return
        pending = Request("", "rows", close=True)
        pending.linger = True
        self._waiting.append(pending)
        self.deliver(pending, status, said)

    # --- the application --------------------------------------------------------------------------------------

    def _target(self) -> tuple[str, Form, str | None] | None:
        """Endpoint, form and version when this is a request for the hot way."""
        url = self.url
        form: Form
        version = None
        if url.startswith(_PREDICT):
            name, form = url[len(_PREDICT) :], "rows"
        elif url.startswith(_MODELS) and url.endswith(_INFER):
            name, form = url[len(_MODELS) : -len(_INFER)], "tensors"
            if _VERSIONS in name:
                name, _, number = name.partition(_VERSIONS)
                if not number.isdigit():
                    return None
                version = number.decode("ascii")
        elif url.startswith(_INVOCATIONS):
            name, form = url[len(_INVOCATIONS) :], "invocations"
        else:
            return None
        if (
            self._is_busy()
            or self.expect_100_continue
            or b"%" in name
            or b"?" in name
            or b"/" in name
            or not name.isascii()
        ):
            return None
        if self.parser.get_method() != b"POST":
            return None
        return name.decode("ascii"), form, version

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
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError, AttributeError):
            # The last is how an address without a path (`http://host`) fails: it has None for one.
            self._refuse(400, Invalid("the path is not valid", where="request"))
            return
        if self._leaving:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        drained = None
        if self._waiting:
            drained = self._drained = self._drained or asyncio.Event()

        async def in_turn(scope: Any, receive: Any, send: Any) -> None:
            """The application, when the answers before it are out, and as long as there is somebody to answer."""
            if drained is not None:
                await drained.wait()

            async def send_on(message: Any) -> None:
                # Only the newest request of a connection is told of its end.
                cycle.disconnected = cycle.disconnected or self.transport.is_closing()
                await send(message)

            await app(scope, receive, send_on)

        super()._start_asgi_task(cycle, in_turn)

    def _set_drained(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None


class _Delivery:
    """Brings a call's answer to its place on the connection."""

    __slots__ = ("_pending", "_protocol")

    def __init__(self, protocol: PredictionProtocol, pending: Request) -> None:
        self._protocol = protocol
        self._pending = pending

    def __call__(self, call: Call) -> None:
        protocol = self._protocol
        # It is empty once the connection is gone.
        if protocol._waiting and self._pending.answer is None:  # noqa: SLF001 - the connection's own delivery
            protocol.deliver(self._pending, call.status, call.answer, call.answer_json_size)
