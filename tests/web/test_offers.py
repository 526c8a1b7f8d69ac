"""Requests that offer HTTP/2, as clients for Java do, are answered like others, body and all."""

import asyncio
from functools import partial
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from kept.web.bounded import BoundedProtocol, Patience

OFFER = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\n%bcontent-length: %d\r\n\r\n%b"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    told = [(b"content-length", str(len(body)).encode())]
    assert b"upgrade" not in dict(scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": told})
    await send({"type": "http.response.body", "body": body})


async def exchange(*pieces: bytes) -> bytes:
    config = uvicorn.Config(echo, lifespan="off", ws="none", log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    made = partial(BoundedProtocol, Patience(connections=10), config, ServerState(), {})
    async with await loop.create_server(made, "127.0.0.1", 0) as listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        found = await asyncio.wait_for(reader.readuntil(b"the last"), 60)
        writer.close()
        return found


@pytest.mark.parametrize("cut", [0, 30, 100, 145, 160])
def test_they_are_read_like_others(cut: int) -> None:
    sent = POST % (OFFER, 9, b"the first") + POST % (OFFER, 10, b"the second") + POST % (b"", 8, b"the last")
    found = asyncio.run(exchange(sent[:cut], sent[cut:]))
    assert [found.count(said) for said in (b"HTTP/1.1 200", b"the first", b"the second")] == [3, 1, 1]
