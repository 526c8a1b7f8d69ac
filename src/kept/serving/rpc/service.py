"""The protocol over gRPC, in the same process and on the same way as HTTP: the same lines, routing, log, counters and secrets."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

import kept
from kept.core.errors import Invalid, KeptError, NotFound, Unavailable
from kept.serving.app import EXTENSIONS, answered, describe
from kept.serving.calls import OVERLOADED
from kept.serving.door import TRACE_HEADER, Door, not_admitted
from kept.serving.faults import raised
from kept.serving.request import Request
from kept.serving.router import Router
from kept.serving.rpc.endings import ending
from kept.serving.rpc.infer import answer_of, decode_request, sent_in
from kept.serving.rpc.messages import PACKAGE, SERVICE, message_type
from kept.serving.statuses import status_of

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_UNLIMITED = 3600.0

Context = Any
Answering = Callable[[bytes, Context], Awaitable[bytes]]


class GrpcService:
    """Listens for the protocol over gRPC.

    Args:
        address: host and port.
        door: says who may ask, and takes the calls.
        router: finds what is described.
        share: whether other processes may listen on the port too.
        at_once: how many calls may be under way at once; None for any number.
    """

    def __init__(
        self, address: str, door: Door, router: Router, *, share: bool = False, at_once: int | None = None
    ) -> None:
        self._address = address
        self._door = door
        self._router = router
        self._share = share
        self._at_once = at_once
        self._server: Any = None
        self.port = 0

    async def start(self) -> None:
        """Begins to listen. `Unavailable` when the address cannot be had."""
        limits = [
            ("grpc.max_receive_message_length", self._door.largest_body),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(self._share)),
        ]
        # Beyond these, calls are answered RESOURCE_EXHAUSTED before anything of them is read.
        self._server = grpc.aio.server(options=limits, maximum_concurrent_rpcs=self._at_once)
        methods: dict[str, Answering] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._admitted(self._model_ready),
            "ServerMetadata": self._admitted(self._server_metadata),
            "ModelMetadata": self._admitted(self._model_metadata),
            "ModelInfer": self._admitted(self._model_infer),
        }
        handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        service = grpc.method_handlers_generic_handler(f"{PACKAGE}.{SERVICE}", handlers)
        self._server.add_generic_rpc_handlers((service,))
        try:
            self.port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise Unavailable(
                "the address cannot be had", where=f"grpc {self._address}", fix="Choose another port"
            ) from error
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Answers what has come, for at most so many seconds."""
        await self._server.stop(grace)

    def _admitted(self, method: Answering) -> Answering:
        """The method for those who may ask, with errors as gRPC says them."""

        async def guarded(data: bytes, context: Context) -> bytes:
            if self._caller(context) is None:
                await _abort(context, 401, not_admitted())
            try:
                return await method(data, context)
            except KeptError as error:
                return await _abort(context, status_of(error), error)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - said as all errors are said here
                where = f"{PACKAGE}.{SERVICE}"
                return await _abort(context, 500, raised(self._door.turns.counters, "describing", where, error))

        return guarded

    def _caller(self, context: Context) -> str | None:
        return self._door.caller(_metadata(context, "authorization"))

    async def _server_live(self, data: bytes, context: Context) -> bytes:
        del data, context
        return _written("ServerLiveResponse", live=True)

    async def _server_ready(self, data: bytes, context: Context) -> bytes:
        del data, context
        return _written("ServerReadyResponse", ready=self._router.ready)

    async def _model_ready(self, data: bytes, context: Context) -> bytes:
        del context
        asked = _read("ModelReadyRequest", data)
        try:
            route = self._router.find(asked.name)
            if asked.version:
                route.version(asked.version)
        except (NotFound, Unavailable):
            # A question with two answers: the protocol's clients ask it of models that are yet to come.
            return _written("ModelReadyResponse", ready=False)
        return _written("ModelReadyResponse", ready=True)

    async def _server_metadata(self, data: bytes, context: Context) -> bytes:
        del data, context
        return _written("ServerMetadataResponse", name="kept", version=kept.__version__, extensions=EXTENSIONS)

    async def _model_metadata(self, data: bytes, context: Context) -> bytes:
        del context
        asked = _read("ModelMetadataRequest", data)
        described = describe(self._router, asked.name, asked.version or None)
        return _written("ModelMetadataResponse", **described)

    async def _model_infer(self, data: bytes, context: Context) -> bytes:
        began = time.perf_counter_ns()
        message = decode_request(data)
        request = Request(message.model_name, "message", message.model_version or None)
        request.caller = self._caller(context) or ""
        if self._door.traces is not None:
            request.trace = self._door.traces.sampled(_metadata(context, TRACE_HEADER.decode()))
        if (left := context.time_remaining()) is not None and left < _UNLIMITED:
            request.timeout_us = max(int(left * 1e6), 1)
        call = await answered(self._door, request, sent_in(message), len(data), began)
        if call is None:
            self._door.turns.refuse(request.endpoint)
            return await _abort(context, 429, OVERLOADED)
        if call.error is not None:
            return await _abort(context, call.status, call.error)
        return answer_of(call)


def _metadata(context: Context, name: str) -> bytes:
    given: bytes | str = dict(context.invocation_metadata() or ()).get(name, b"")
    return given.encode("utf-8", "replace") if isinstance(given, str) else given


def _message(name: str) -> Any:
    return message_type(name)


def _read(name: str, data: bytes) -> Any:
    try:
        return _message(name).FromString(data)
    except DecodeError as error:
        raise Invalid(f"the bytes are not a {name}", where="message") from error


def _written(kind: str, /, **fields: Any) -> bytes:
    written: bytes = _message(kind)(**fields).SerializeToString()
    return written


async def _abort(context: Context, status: int, error: KeptError) -> NoReturn:
    """Ends the call with the error, whose parts go along as `kept-error-bin`, and how long to wait where that helps."""
    message, parts = ending(error)
    trailing: list[tuple[str, str | bytes]] = [("kept-error-bin", parts)]
    if status in {429, 503}:
        trailing.append(("retry-after", "1"))
    await context.abort(_CODES.get(status, grpc.StatusCode.INTERNAL), message, trailing_metadata=tuple(trailing))
    raise AssertionError
