"""The application beside the hot way: health, metadata, metrics, and predictions that come with something rare. Plain ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST

import kept
from kept.core.errors import Invalid, KeptError, NotFound, Unavailable
from kept.packaging.signature import Signature
from kept.serving.calls import Call
from kept.serving.counters import Counters
from kept.serving.http import Door
from kept.serving.protocol.answers import error_body, output_tensors
from kept.serving.protocol.values import kind_of
from kept.serving.router import Router
from kept.serving.runtime import Form
from kept.serving.statuses import status_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "text": "BYTES"}
_JSON = b"application/json"


class _Answer(msgspec.Struct):
    status: int
    body: bytes
    media: bytes = _JSON
    last: bool = False


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
        headers = [(b"content-type", answer.media), (b"content-length", str(len(answer.body)).encode())]
        if answer.status == 503:
            headers.append((b"retry-after", b"1"))
        if answer.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if answer.last:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        path = [unquote(part) for part in scope["raw_path"].decode("ascii", "replace").strip("/").split("/")]
        headers = dict(scope["headers"])
        if path in (["v2", "health", "live"], ["v2", "health", "ready"]):
            return _read(scope) or (self._ready() if path[2] == "ready" else _json({"live": True}))
        if not self._door.admits(headers.get(b"authorization", b"")):
            fix = "Send the header Authorization: Bearer and the service's token"
            return _Answer(401, error_body(Invalid("the token is missing or wrong", where="authorization", fix=fix)))
        match path:
            case ["predict", name]:
                return await self._predict(scope, receive, headers, name, "rows")
            case ["v2", "models", name, "infer"] | ["v2", "models", name, "versions", _, "infer"]:
                return await self._predict(scope, receive, headers, name, "tensors", path[4] if len(path) > 4 else None)
        described = self._described(path)
        if described is None:
            raise NotFound(
                "there is nothing here", where=scope["path"], fix="See /v2, /predict/{endpoint} and /metrics"
            )
        return _read(scope) or described()

    def _described(self, path: list[str]) -> Callable[[], _Answer] | None:
        """What tells about the service, a model or one of its versions."""
        match path:
            case ["v2"]:
                return lambda: _json({"name": "kept", "version": kept.__version__, "extensions": []})
            case ["metrics"]:
                return lambda: _Answer(200, self._counters.text(), CONTENT_TYPE_LATEST.encode())
            case ["v2", "models", name] | ["v2", "models", name, "versions", _]:
                return lambda: self._describe(name, path[4] if len(path) > 4 else None)
            case ["v2", "models", name, "ready"] | ["v2", "models", name, "versions", _, "ready"]:
                return lambda: self._model_ready(name, path[4] if len(path) > 4 else None)
        return None

    def _ready(self) -> _Answer:
        if self._router.ready:
            return _json({"ready": True})
        troubles = "; ".join(f"{name}: {what}" for name, what in self._router.troubles.items())
        raise Unavailable(
            troubles or "no routing table has been read yet", where="service", fix="Try again in a moment"
        )

    def _model_ready(self, name: str, version: str | None) -> _Answer:
        route = self._router.find(name)
        if version is not None:
            route.version(version)
        return _json({"name": name, "ready": True})

    def _describe(self, name: str, version: str | None) -> _Answer:
        route = self._router.find(name)
        arm = route.champion if version is None else route.version(version)
        return _json(
            {
                "name": name,
                "versions": [str(loaded.arm.number) for loaded in route.arms],
                "platform": f"kept_{arm.model.manifest.runtime}",
                "inputs": _input_tensors(arm.model.signature),
                "outputs": output_tensors(arm.model.signature),
            }
        )

    async def _predict(
        self,
        scope: Scope,
        receive: Receive,
        headers: dict[bytes, bytes],
        name: str,
        form: Form,
        version: str | None = None,
    ) -> _Answer:
        if scope["method"] != "POST":
            return _Answer(405, error_body(Invalid(f"expected POST, found {scope['method']}", where=scope["path"])))
        refusal = self._door.refusal(headers)
        if refusal is not None:
            return _Answer(refusal[0], error_body(refusal[1]), last=True)
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return _Answer(400, error_body(Invalid("the client left before its request was whole", where="body")))
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._door.largest_body:
                return _Answer(413, error_body(self._door.too_large_error()), last=True)
        answered: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._door.turns.ask(Call(name, form, bytes(body), lambda call: _settle(answered, call), version))
        call = await answered
        return _Answer(call.status, call.answer)


def _settle(answered: "asyncio.Future[Call]", call: Call) -> None:
    if not answered.done():
        answered.set_result(call)


def _read(scope: Scope) -> _Answer | None:
    """What is said when something that can only be read is asked for otherwise."""
    if scope["method"] in {"GET", "HEAD"}:
        return None
    return _Answer(405, error_body(Invalid(f"expected GET, found {scope['method']}", where=scope["path"])), last=True)


def _json(value: Any) -> _Answer:
    return _Answer(200, msgspec.json.encode(value))


def _input_tensors(signature: Signature) -> list[dict[str, Any]]:
    return [{"name": field.name, "datatype": _DATATYPES[kind_of(field)], "shape": [-1]} for field in signature.inputs]
