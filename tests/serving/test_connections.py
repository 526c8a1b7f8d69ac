"""The wire itself: pipelining, pieces, chunks, and what clients do wrong."""

import json
import socket
import threading
import time
from typing import Self

import pytest
from predicting import ROW, Service

BODY = json.dumps({"rows": [ROW]}).encode()


def request(path: str = "/predict/late", body: bytes = BODY, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "host: localhost", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


class Wire:
    """A socket that reads whole answers."""

    def __init__(self, service: Service) -> None:
        self.socket = socket.create_connection(("127.0.0.1", service.port), timeout=60)
        self.stream = self.socket.makefile("rb")

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self.stream.readline().split()[1])
        headers = {}
        while line := self.stream.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, headers, self.stream.read(int(headers.get("content-length", 0)))

    def is_closed(self) -> bool:
        return self.stream.read(1) == b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.socket.close()


def test_pipelined_answers_come_in_order(running: Service) -> None:
    with Wire(running) as wire:
        mixed = [
            request(),
            get("/v2/health/live"),
            request("/predict/nobody"),
            request("/v2/models/late/infer"),
            request(),
        ]
        wire.socket.sendall(b"".join(mixed) * 5)
        assert [wire.answer()[0] for _ in range(25)] == [200, 200, 404, 400, 200] * 5


OFFER = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)


@pytest.mark.parametrize("cut", [None, 40, 300, -20])
def test_who_offers_another_protocol_is_answered_in_this_one(running: Service, cut: int | None) -> None:
    # As the client of Java's own library does with the first request of a connection.
    offered = request("/predict/late", BODY, *OFFER)
    chunks = BODY[:9], BODY[9:], b""
    chunked = offered.split(b"content-length")[0] + b"transfer-encoding: chunked\r\n\r\n"
    chunked += b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in chunks)
    socket_of_pages = get("/v2").replace(b"\r\n\r\n", b"\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n\r\n")
    with Wire(running) as wire:
        whole = (
            request()
            + offered
            + request()
            + chunked
            + offered
            + request("/predict/nobody", BODY, *OFFER)
            + socket_of_pages
        )
        wire.socket.sendall(whole[:cut])
        if cut is not None:
            time.sleep(0.05)
            wire.socket.sendall(whole[cut:])
        assert [wire.answer()[0] for _ in range(7)] == [200, 200, 200, 200, 200, 404, 200]
        assert wire.is_closed()


def test_a_tunnel_is_refused_once_and_the_others_are_answered(running: Service) -> None:
    with Wire(running) as wire:
        wire.socket.sendall(request() + b"CONNECT a:80 HTTP/1.1\r\nhost: localhost\r\n\r\n" + b"more")
        assert [wire.answer()[0] for _ in range(2)] == [200, 400]
        assert wire.is_closed()
    with Wire(running) as wire:
        wire.socket.sendall(request())
        assert wire.answer()[0] == 200


@pytest.mark.parametrize("address", ["http://a", "http://a?x", "http://[::1/ping"])
def test_an_address_that_leads_nowhere_is_the_senders_fault(running: Service, address: str) -> None:
    with Wire(running) as wire:
        wire.socket.sendall(get(address))
        assert wire.answer()[0] == 400


def test_many_offers_at_once(running: Service) -> None:
    with Wire(running) as wire:
        wire.socket.sendall(
            get("/ping").replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n") * 2_000
        )
        assert {wire.answer()[0] for _ in range(2_000)} == {200}


def test_a_request_in_single_bytes(running: Service) -> None:
    with Wire(running) as wire:
        for piece in request():
            wire.socket.sendall(bytes([piece]))
        assert wire.answer()[0] == 200


def test_a_chunked_body(running: Service) -> None:
    with Wire(running) as wire:
        head = "POST /predict/late HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        wire.socket.sendall(head.encode())
        for start in range(0, len(BODY), 10):
            piece = BODY[start : start + 10]
            wire.socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        wire.socket.sendall(b"0\r\n\r\n" + request())
        assert [wire.answer()[0], wire.answer()[0]] == [200, 200]


def test_the_connection_closes_when_asked_to(running: Service) -> None:
    for sent in (request("/predict/late", BODY, "connection: close"), request(version="1.0")):
        with Wire(running) as wire:
            wire.socket.sendall(sent)
            status, headers, _ = wire.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert wire.is_closed()


def test_a_client_that_waits_for_100(running: Service) -> None:
    with Wire(running) as wire:
        sent = request("/predict/late", BODY, "expect: 100-continue")
        wire.socket.sendall(sent[: -len(BODY)])
        assert wire.stream.readline().startswith(b"HTTP/1.1 100")
        assert wire.stream.readline() == b"\r\n"
        wire.socket.sendall(BODY)
        assert wire.answer()[0] == 200


def test_an_escaped_path(running: Service) -> None:
    with Wire(running) as wire:
        wire.socket.sendall(request("/predict/l%61te"))
        assert wire.answer()[0] == 200


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"POST /predict/late HTTP/1.1\r\ncontent-length: x\r\n\r\n",
     b"POST /predict/late HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_garbage_is_refused_after_what_is_due(running: Service, garbage: bytes) -> None:
    with Wire(running) as wire:
        wire.socket.sendall(request() + garbage)
        assert wire.answer()[0] == 200
        assert wire.answer()[0] == 400
        assert wire.is_closed()


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_read(running: Service) -> None:
    for path in ("/predict/late", "/v2/models/late/infer", "/v2", "/predict/l%61te"):
        with Wire(running) as wire:
            head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n"
            wire.socket.sendall(head.encode() + b"x" * 10_000)
            assert wire.answer()[0] == 413


def test_a_chunked_body_without_end_is_refused(running: Service) -> None:
    with Wire(running) as wire:
        head = "POST /predict/late HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
        wire.socket.sendall(head.encode())
        piece = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        for _ in range(17):
            wire.socket.sendall(piece)
        assert wire.answer()[0] == 413


def test_a_head_without_end_is_refused(running: Service) -> None:
    with Wire(running) as wire:
        wire.socket.sendall(b"POST /predict/late HTTP/1.1\r\n" + b"x-more: 1234567890\r\n" * 5000)
        assert wire.answer()[0] == 431


def test_a_client_that_leaves_stops_nobody(running: Service) -> None:
    for cut in (10, 60, len(request()) - 1, len(request())):
        wire = Wire(running)
        wire.socket.sendall(request()[:cut])
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wire.__exit__()
    with Wire(running) as wire:
        wire.socket.sendall(request())
        assert wire.answer()[0] == 200


def test_a_client_that_reads_nothing_is_held_back(running: Service) -> None:
    """Its requests stay with it instead of filling the service's memory with answers."""
    with Wire(running) as wire:
        wire.socket.setblocking(False)
        stream, sent, quiet = request() * 100, 0, 0.0
        stop = time.monotonic() + 60
        while quiet < 0.5 and time.monotonic() < stop:
            try:
                sent += wire.socket.send(stream[sent % len(stream) :])
                quiet = 0.0
            except BlockingIOError:
                time.sleep(0.02)
                quiet += 0.02
        assert quiet >= 0.5
        assert sent < 64 << 20
    with Wire(running) as other:
        other.socket.sendall(request())
        assert other.answer()[0] == 200


def test_many_at_once(running: Service) -> None:
    found: list[int] = []

    def ask() -> None:
        with Wire(running) as wire:
            for _ in range(20):
                wire.socket.sendall(request())
                found.append(wire.answer()[0])

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 600


@pytest.mark.parametrize(
    "asked",
    [
        [request()],
        [get("/v2")],
        [request("/predict/late?explain=true")],
        [request(), get("/v2"), request("/predict/late?explain=true"), request(), get("/v2/health/live")],
        [get("/v2"), request("/predict/late?explain=true"), request()],
    ],
)
def test_who_sends_no_more_gets_what_was_asked(running: Service, asked: list[bytes]) -> None:
    with Wire(running) as wire:
        wire.socket.sendall(b"".join(asked))
        wire.socket.shutdown(socket.SHUT_WR)
        assert [wire.answer()[0] for _ in asked] == [200] * len(asked)
        assert wire.is_closed()


@pytest.mark.parametrize("torn", [request()[:-5], request("/predict/late?explain=true")[:-5], get("/v2")[:-2], b""])
def test_who_sends_no_more_in_the_middle_is_let_go(running: Service, torn: bytes) -> None:
    with Wire(running) as wire:
        wire.socket.sendall(request() + torn)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.answer()[0] == 200
        assert wire.is_closed()
