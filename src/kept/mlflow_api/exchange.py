"""A request and its answer as the server hands them over, past the framework's objects for them."""

from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Receive, Scope, Send


class Exchange:
    """One request, read once, and one answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]  # type: ignore[typeddict-item] # every request has one
        self._headers = scope["headers"]
        self._receive = receive
        self._send = send

    def header(self, name: bytes) -> str | None:
        """The first header of a name, in lower case, or None."""
        return next((value.decode("latin-1") for key, value in self._headers if key == name), None)

    async def body(self, largest: int) -> bytes:
        """All that was sent. 413 before more than the largest is read, or before any when so much is announced."""
        announced = self.header(b"content-length")
        if announced is not None and int(announced) > largest:
            raise RequestEntityTooLarge
        pieces: list[bytes] = []
        size, more = 0, True
        while more:
            event = await self._receive()
            if event["type"] != "http.request":
                raise ClientException("the client went away before it had sent all")
            size += len(event["body"])
            if size > largest:
                raise RequestEntityTooLarge
            pieces.append(event["body"])
            more = event["more_body"]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def answer(self, body: bytes) -> None:
        """Sends JSON."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
