"""One client's misbehaviour is nobody else's trouble. Real sockets, real amounts."""

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from predicting import Service
from test_connections import Wire, request

MEGABYTE = 1 << 20
# Seconds: far more than an answer takes where others are at work too, and less than the ten after which a slow client is ended.
PATIENCE = 5.0


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory(service: Service) -> int:
    """Bytes of memory that the service has."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def answered(service: Service, times: int = 50) -> float:
    """Asks so many times, each must be answered; the longest that took."""
    worst = 0.0
    with Wire(service) as wire:
        for _ in range(times):
            start = time.monotonic()
            wire.socket.sendall(request())
            assert wire.answer()[0] == 200
            worst = max(worst, time.monotonic() - start)
    return worst


def send_all(service: Service, head: bytes, piece: bytes, times: int) -> bytes:
    """Sends a great deal, until the service has had enough; what it said."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as sender:
        said = b""
        try:
            sender.sendall(head)
            for _ in range(times):
                sender.sendall(piece)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            while data := sender.recv(65536):
                said += data
        return said


HEAD = b"POST /predict/late HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
BOMBS = {
    "a body of 1 GB that says so": (HEAD + b"content-length: 1073741824\r\n\r\n", b" " * MEGABYTE, 1024, b"413"),
    "a body of 1 GB in chunks": (
        HEAD + b"transfer-encoding: chunked\r\n\r\n",
        b"100000\r\n" + b" " * MEGABYTE + b"\r\n",
        1024,
        b"413",
    ),
    "many headers": (HEAD, b"x-more: " + b"y" * 1000 + b"\r\n", 500_000, b"431"),
    "one header without end": (HEAD + b"x-more: ", b"y" * MEGABYTE, 1024, b"431"),
    "a path without end": (b"POST /predict/", b"y" * MEGABYTE, 1024, b"431"),
    "a trailer without end": (
        HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n \r\n0\r\nx-more: ",
        b"y" * MEGABYTE,
        1024,
        b"413",
    ),
    "a chunk that is none": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"zz\r\n", 1, b"400"),
    "a body of 1 GB to another path": (
        b"POST /v2 HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n",
        b"100000\r\n" + b" " * MEGABYTE + b"\r\n",
        1024,
        b"405",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_too_much_is_refused_and_fills_no_memory(running: Service, name: str) -> None:
    head, piece, times, status = BOMBS[name]
    answered(running, 5)
    before = memory(running)
    said: list[bytes] = []
    sender = threading.Thread(target=lambda: said.append(send_all(running, head, piece, times)))
    sender.start()
    worst = 0.0
    while sender.is_alive():
        worst = max(worst, answered(running, 5))
    sender.join()
    assert said[0].startswith(b"HTTP/1.1 " + status) or said[0] == b"", said[0][:200]
    assert memory(running) - before < 64 * MEGABYTE
    assert worst < PATIENCE


def test_idle_and_slow_clients_keep_nobody_waiting(running: Service) -> None:
    started = memory(running)
    with contextlib.ExitStack() as stack:
        for _ in range(2000):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=60))
        slow = [stack.enter_context(Wire(running)) for _ in range(100)]
        cuts: list[Callable[[int], bytes]] = [lambda n: request()[:n], lambda n: request()[: 120 + n]]
        for place, wire in enumerate(slow):
            wire.socket.sendall(cuts[place % 2](20))
        assert answered(running, 200) < PATIENCE
        assert memory(running) - started < 64 * MEGABYTE
        for wire in slow:
            assert wire.is_closed()
        assert answered(running, 50) < PATIENCE


def test_more_connections_than_files(service: Service) -> None:
    service.prefix = ("prlimit", "--nofile=300:300")
    service.start()
    with contextlib.ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            time.sleep(0.0005)
        assert answered(service, 20) < PATIENCE
    assert answered(service, 20) < PATIENCE
    assert service.stop() == 0
