"""Clients that send the head of a request byte by byte, or never."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import uvicorn
from litestar import Litestar, Request, get, post

from kept.core.listening import listen
from kept.web.bounded import BoundedProtocol, Patience

START = b"GET /health HTTP/1.1\r\nhost: here\r\nx-slow: "
LONG = 60.0


@get("/health", media_type="text/plain")
async def health() -> str:
    return "OK"


@post("/length", media_type="text/plain")
async def length(request: Request[Any, Any, Any]) -> str:
    return f"{len(await request.body())} bytes"


@get("/large", media_type="text/plain")
async def large() -> str:
    return "a" * (64 << 20)


@contextmanager
def serving(patience: Patience) -> Iterator[tuple[int, uvicorn.Server]]:
    """A server that waits so long, and its port."""
    protocol: Any = partial(BoundedProtocol, patience)
    site = Litestar([health, length, large], openapi_config=None)
    with listen("127.0.0.1", 0) as listener:
        # From now on a client is taken, although the server may still be starting.
        listener.listen(1024)
        server = uvicorn.Server(uvicorn.Config(site, http=protocol, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1], server
        finally:
            server.should_exit = True
            thread.join(LONG)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LONG)


def trickle(connections: list[socket.socket], stop: threading.Event, byte: bytes) -> None:
    """Sends a byte through each, again and again, as long as somebody takes it."""
    while not stop.wait(0.1):
        for connection in connections:
            try:
                connection.send(byte)
            except OSError:
                continue


def until(condition: Callable[[], bool]) -> bool:
    for _ in range(int(LONG * 20)):
        if condition():
            return True
        time.sleep(0.05)
    return False


def said(connection: socket.socket) -> bytes:
    """All that a server says before it ends the connection."""
    got = bytearray()
    try:
        while piece := connection.recv(1 << 16):
            got += piece
    except ConnectionError:
        pass
    return bytes(got)


def test_hundreds_of_slow_heads_stop_nobody_and_are_ended() -> None:
    stop = threading.Event()
    with serving(Patience(head=1.0, connections=10_000)) as (port, _), ExitStack() as held:
        slow = [held.enter_context(connect(port)) for _ in range(500)]
        for connection in slow:
            connection.sendall(START)
        sending = threading.Thread(target=trickle, args=(slow, stop, b"a"))
        sending.start()
        try:
            with httpx.Client(timeout=LONG) as client:
                for _ in range(20):
                    assert client.get(f"http://127.0.0.1:{port}/health").text == "OK"
            answers = [said(connection) for connection in slow]
        finally:
            stop.set()
            sending.join()
    # Who goes on sending may miss what was said, and is ended all the same.
    assert {answer[:13] for answer in answers} <= {b"HTTP/1.1 408 ", b""}
    assert b"408" in b"".join(answers)


@pytest.mark.parametrize("byte", [b"", b"\r\n"], ids=["nothing", "blank lines"])
def test_who_begins_no_request_is_ended(byte: bytes) -> None:
    stop = threading.Event()
    with (
        serving(Patience(head=1.0, silence=1.0, connections=10_000)) as (port, _),
        connect(port) as one,
        connect(port) as two,
    ):
        two.sendall(b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n")
        sending = threading.Thread(target=trickle, args=([one, two], stop, byte))
        sending.start()
        try:
            assert said(one) == b""
            assert said(two).startswith(b"HTTP/1.1 200 ")
        finally:
            stop.set()
            sending.join()


def test_a_slow_head_behind_a_whole_request_is_ended_too() -> None:
    with serving(Patience(head=0.5, connections=10_000)) as (port, _), connect(port) as one:
        one.sendall(b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n" + START)
        answers = said(one)
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answers


def test_a_body_may_take_its_time() -> None:
    with serving(Patience(head=1.0, connections=10_000)) as (port, _), connect(port) as one:
        one.sendall(b"POST /length HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\nconnection: close\r\n\r\n")
        for _ in range(4):
            time.sleep(0.3)
            one.sendall(b"a")
        assert said(one).endswith(b"4 bytes")


def test_a_body_that_comes_no_further_is_ended() -> None:
    with serving(Patience(head=0.5, silence=1.0, connections=10_000)) as (port, _), connect(port) as one:
        one.sendall(b"POST /length HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\n\r\na")
        assert said(one) == b""


@pytest.mark.parametrize("head", [b"content-length: 1000000", b"transfer-encoding: chunked"])
def test_a_body_that_trickles_is_ended(head: bytes) -> None:
    stop = threading.Event()
    piece = b"a" if b"length" in head else b"1\r\na\r\n"
    with serving(Patience(head=0.5, silence=1.0, connections=10_000)) as (port, _), connect(port) as one:
        one.sendall(b"POST /length HTTP/1.1\r\nhost: here\r\n" + head + b"\r\n\r\n")
        sending = threading.Thread(target=trickle, args=([one], stop, piece))
        sending.start()
        try:
            assert said(one) == b""
        finally:
            stop.set()
            sending.join()


def test_a_body_that_comes_in_time_may_take_longer_than_silence() -> None:
    patience = Patience(head=1.0, silence=2.0, megabyte=1_000.0, connections=10_000)
    with serving(patience) as (port, _), connect(port) as one:
        one.sendall(b"POST /length HTTP/1.1\r\nhost: here\r\ncontent-length: 240000\r\nconnection: close\r\n\r\n")
        for _ in range(24):
            time.sleep(0.1)
            one.sendall(b"a" * 10_000)
        assert said(one).endswith(b"240000 bytes")


def test_who_takes_no_answer_is_ended() -> None:
    with serving(Patience(head=0.5, silence=1.0, connections=10_000)) as (port, server), connect(port) as one:
        one.sendall(b"GET /large HTTP/1.1\r\nhost: here\r\n\r\n")
        assert until(lambda: bool(server.server_state.connections))
        assert until(lambda: not server.server_state.connections)
        assert 0 < len(said(one)) < 64 << 20


def test_an_answer_may_be_taken_slowly() -> None:
    size = 64 << 20
    with serving(Patience(head=0.5, silence=2.0, connections=10_000)) as (port, _), connect(port) as one:
        one.sendall(b"GET /large HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        taken = 0
        for _ in range(25):
            time.sleep(0.1)
            taken += len(one.recv(1 << 20))
        assert taken + len(said(one)) > size


def test_an_answer_may_be_taken_so_slowly_that_the_system_asks_for_no_more_of_it() -> None:
    size = 64 << 20
    with serving(Patience(head=0.5, silence=2.0, connections=10_000)) as (port, _), connect(port) as one:
        one.sendall(b"GET /large HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        taken = 0
        for _ in range(60):
            time.sleep(0.1)
            taken += len(one.recv(16 << 10))
        assert taken + len(said(one)) > size


def test_bodies_that_do_not_come_make_room_too() -> None:
    head = (
        b"POST /length HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
    )
    with serving(Patience(connections=20)) as (port, _), ExitStack() as held:
        slow = [held.enter_context(connect(port)) for _ in range(20)]
        for connection in slow:
            connection.sendall(head)
            assert b" 100 " in connection.recv(1 << 16)
        with httpx.Client(timeout=LONG) as client:
            assert client.get(f"http://127.0.0.1:{port}/health").text == "OK"
        ended, _, _ = select.select(slow, [], [], LONG)
        assert [said(connection) for connection in ended] == [b""]
        stays = next(connection for connection in slow if connection not in ended)
        stays.sendall(b"ab")
        assert said(stays).endswith(b"2 bytes")


def test_whoever_has_waited_longest_makes_room() -> None:
    with serving(Patience(connections=50)) as (port, _), ExitStack() as held:
        slow = [held.enter_context(connect(port)) for _ in range(80)]
        slow[-1].sendall(START)
        with httpx.Client(timeout=LONG) as client:
            assert client.get(f"http://127.0.0.1:{port}/health").text == "OK"
        assert said(slow[0]) == b""
        slow[-1].sendall(b"b\r\nconnection: close\r\n\r\n")
        assert said(slow[-1]).startswith(b"HTTP/1.1 200 ")


def test_room_is_made_for_some_at_once_where_there_are_many() -> None:
    with serving(Patience(connections=300)) as (port, server), ExitStack() as held:
        slow = [held.enter_context(connect(port)) for _ in range(300)]
        assert until(lambda: len(server.server_state.connections) == 300)
        held.enter_context(connect(port))
        assert [said(connection) for connection in slow[:3]] == [b""] * 3
        assert select.select(slow[3:], [], [], 0)[0] == []
