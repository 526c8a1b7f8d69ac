"""The application beside the hot way: health, metadata, metrics, and predictions that come with something rare. Plain ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST

import kept
from kept.core.errors import Invalid, KeptError, NotFound, Unavailable
from kept.packaging.signature import Signature
from kept.serving.calls import Call
from kept.serving.counters import Counters
from kept.serving.door import Door
from kept.serving.faults import raised
from kept.serving.protocol.answers import error_body, output_tensors
from kept.serving.protocol.tensor_columns import described
from kept.serving.protocol.tensors import Sent
from kept.serving.protocol.values import kind_of
from kept.serving.request import Request
from kept.serving.router import Router
from kept.serving.statuses import status_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# What tells that the service lives is told without a token.
_OPEN = (["v2", "health", "live"], ["v2", "health", "ready"], ["ping"])
EXTENSIONS = ("binary_tensor_data",)
_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "text": "BYTES"}
_JSON = b"application/json"


class _Answer(msgspec.Struct):
    status: int
    body: bytes
    media: bytes = _JSON
    last: bool = False
    json_size: int = 0
    # Of a 405: what may be asked instead.
    allow: bytes = b""


class Application:
    """Answers what the protocol describes, and `/metrics`."""

    def __init__(self, door: Door, router: Router, counters: Counters) -> None:
        self._door = door
        self._router = router
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except KeptError as error:
            answer = _Answer(status_of(error), error_body(error))
        except Exception as error:  # noqa: BLE001 - said as all errors are said here
            answer = _Answer(500, error_body(raised(self._counters, "describing", scope["path"], error)))
        headers = [(b"content-type", answer.media), (b"content-length", str(len(answer.body)).encode())]
        if answer.json_size:
            headers.append((b"inference-header-content-length", str(answer.json_size).encode()))
        if answer.status in {429, 503}:
            headers.append((b"retry-after", b"1"))
        if answer.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if answer.allow:
            headers.append((b"allow", answer.allow))
        if answer.last:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        path = [unquote(part) for part in scope["raw_path"].decode("ascii", "replace").strip("/").split("/")]
        headers = dict(scope["headers"])
        if path in _OPEN:
            return _read(scope) or self._open(path, headers)
        if (refusal := self._door.turned_away(headers)) is not None:
            return _Answer(refusal[0], error_body(refusal[1]))
        if (request := self._asked(path)) is not None:
            request.explain = _asks_to_explain(scope)
            return await self._predict(scope, receive, headers, request)
        described = self._described(path)
        if described is None:
            raise NotFound(
                "there is nothing here",
                where=scope["path"],
                fix="See /v2, /predict/{endpoint}, /invocations/{endpoint} and /metrics",
            )
        return _read(scope) or described()

    def _asked(self, path: list[str]) -> Request | None:
        """The request for a prediction, when it is one."""
        match path:
            case ["predict", name]:
                return Request(name, "rows")
            case ["invocations", name]:
                return Request(name, "invocations")
            case ["invocations"]:
                return Request(self._only(), "invocations")
            case ["v2", "models", name, "infer"]:
                return Request(name, "tensors")
            case ["v2", "models", name, "versions", number, "infer"]:
                return Request(name, "tensors", number)
        return None

    def _described(self, path: list[str]) -> Callable[[], _Answer] | None:
        """What tells about the service, a model or one of its versions."""
        match path:
            case ["v2"]:
                return lambda: _json({"name": "kept", "version": kept.__version__, "extensions": EXTENSIONS})
            case ["version"]:
                return lambda: _Answer(200, kept.__version__.encode(), b"text/plain; charset=utf-8")
            case ["metrics"]:
                return lambda: _Answer(200, self._counters.text(), CONTENT_TYPE_LATEST.encode())
            case ["v2", "models", name] | ["v2", "models", name, "versions", _]:
                return lambda: _json(describe(self._router, name, path[4] if len(path) > 4 else None))
            case ["v2", "models", name, "ready"] | ["v2", "models", name, "versions", _, "ready"]:
                return lambda: self._model_ready(name, path[4] if len(path) > 4 else None)
        return None

    def _open(self, path: list[str], headers: dict[bytes, bytes]) -> _Answer:
        if path == ["ping"]:
            return _Answer(200, b"\n")
        if path[2] == "live":
            return _json({"live": True})
        return self._ready(why=self._door.turned_away(headers) is None)

    def _only(self) -> str:
        """The endpoint of a service that has but one."""
        names = list(self._router.routes)
        if len(names) == 1:
            return names[0]
        fix = f"Ask /invocations/{{endpoint}} of {', '.join(sorted(names)) or 'none yet'}"
        raise NotFound(f"{len(names)} endpoints are served here", where="invocations", fix=fix)

    def _ready(self, *, why: bool) -> _Answer:
        if self._router.ready:
            return _json({"ready": True})
        if not why:
            # Reasons name endpoints.
            raise Unavailable("not all is loaded", where="service", fix="Try again in a moment")
        reasons = [f"{name}: {what}" for name, what in self._router.troubles.items()]
        reasons += [f"{name} is being loaded" for name in sorted(self._router.loading)]
        what = "; ".join(reasons) or "no routing table has been read yet"
        raise Unavailable(what, where="service", fix="Try again in a moment")

    def _model_ready(self, name: str, version: str | None) -> _Answer:
        route = self._router.find(name)
        if version is not None:
            route.version(version)
        return _json({"name": name, "ready": True})

    async def _predict(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], request: Request) -> _Answer:
        if scope["method"] != "POST":
            return _not_allowed(scope, "POST")
        door = self._door
        refusal = door.examine(headers, request)
        if refusal is not None:
            return _Answer(refusal[0], error_body(refusal[1]), last=True)
        body = await _body(receive, door, request)
        if isinstance(body, _Answer):
            return body
        call = await answered(door, request, body, len(body))
        if call is None:
            return _Answer(429, door.turns.refuse(request.endpoint))
        media = b"application/octet-stream" if call.answer_json_size else _JSON
        return _Answer(call.status, call.answer, media, json_size=call.answer_json_size)


async def _body(receive: Receive, door: Door, request: Request) -> bytes | _Answer:
    """The whole body, or why it is not taken."""
    body = bytearray()
    try:
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return _Answer(400, error_body(Invalid("the client left before its request was whole", where="body")))
            piece = message.get("body", b"")
            body += piece
            door.held += len(piece)
            more = message.get("more_body", False)
            if len(body) > door.largest_body:
                return _Answer(413, error_body(door.too_large_error()), last=True)
            if door.is_full:
                return _Answer(429, door.turns.refuse(request.endpoint), last=True)
        return bytes(body)
    finally:
        door.held -= len(body)


async def answered(
    door: Door, request: Request, body: bytes | Sent, size: int, began: int | None = None
) -> Call | None:
    """The call for a request, answered; None when it was not admitted. `began` is when it was whole, where that was earlier."""
    if not door.turns.admits(request.caller, size, request.timeout_us):
        return None
    done: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
    call = Call(request, body, size, lambda call: _settle(done, call))
    if began is not None:
        call.started = began
    door.turns.ask(call)
    return await done


def describe(router: Router, name: str, version: str | None) -> dict[str, Any]:
    """What the protocol tells of a model: its versions that are loaded, and the tensors of the one asked about."""
    route = router.find(name)
    arm = route.champion if version is None else route.version(version)
    return {
        "name": name,
        "versions": [str(loaded.arm.number) for loaded in route.arms],
        "platform": f"kept_{arm.model.manifest.runtime}",
        "inputs": _input_tensors(arm.model.signature),
        "outputs": output_tensors(arm.model.signature),
    }


def _asks_to_explain(scope: Scope) -> bool:
    """What the address says of explanations: `?explain=true`."""
    said = parse_qs(scope["query_string"].decode("ascii", "replace"), keep_blank_values=True).get("explain", ["false"])
    if said not in (["true"], ["false"]):
        raise Invalid(f"expected true or false, found {said[0]!r}", where="explain", fix="Write ?explain=true")
    return said == ["true"]


def _settle(done: "asyncio.Future[Call]", call: Call) -> None:
    if not done.done():
        done.set_result(call)


def _read(scope: Scope) -> _Answer | None:
    """What is said when something that can only be read is asked for otherwise."""
    if scope["method"] in {"GET", "HEAD"}:
        return None
    return _not_allowed(scope, "GET", "HEAD")


def _not_allowed(scope: Scope, *methods: str) -> _Answer:
    error = Invalid(f"expected {methods[0]}, found {scope['method']}", where=scope["path"])
    return _Answer(405, error_body(error), last=True, allow=", ".join(methods).encode())


def _json(value: Any) -> _Answer:
    return _Answer(200, msgspec.json.encode(value))


def _input_tensors(signature: Signature) -> list[dict[str, Any]]:
    return [
        {"name": field.name, "datatype": _DATATYPES[kind_of(field)], "shape": [-1]}
        if field.tensor is None
        else described(field.name, field.tensor)
        for field in signature.inputs
    ]
