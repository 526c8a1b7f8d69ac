"""A server that does nothing: it repeats what another one said first to each kind of request. `nothing.py PORT ADDRESS`.

What MLflow's client takes with it is the client's own: no server can be quicker.
"""

import asyncio
import sys

import httptools
import httpx

_UPSTREAM = httpx.Client(base_url=sys.argv[2])
_SAID: dict[tuple[bytes, str], bytes] = {}


class Nothing(asyncio.Protocol):
    """A connection. It is as quiet as a server can be: one write for an answer, and nothing is looked at but the address."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._address = b""
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._address += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        address, body = self._address.decode(), self._body
        self._address = self._body = b""
        kind = self._parser.get_method(), address.partition("?")[0]
        if kind not in _SAID:
            _SAID[kind] = _ask(kind[0].decode(), address, body)
        self._transport.write(_SAID[kind])


def _ask(method: str, address: str, body: bytes) -> bytes:
    said = _UPSTREAM.request(method, address, content=body, headers={"Content-Type": "application/json"})
    head = f"HTTP/1.1 {said.status_code} OK\r\nContent-Type: application/json\r\nContent-Length: {len(said.content)}\r\n\r\n"
    return head.encode() + said.content


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Nothing, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(_serve())
