"""Requests a second and CPU of a running prediction service: `python benchmarks/prediction_path.py URL PID BODY.json`.

The client is a Python program on the same machine and takes more CPU than the service does, so the requests a second are
a lower bound; CPU microseconds per request, read from /proc for the service's PID, is the steady figure.
"""

import argparse
import asyncio
import os
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop


class _Client(asyncio.Protocol):
    """One connection that sends the next request when the answer is there."""

    def __init__(self, request: bytes, latencies: list[float], failures: list[bytes]) -> None:
        self._request = request
        self._latencies = latencies
        self._failures = failures
        self._received = b""
        self._sent = 0.0
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = int(self._received[self._received.index(b"content-length: ") + 16 :].split(b"\r\n", 1)[0])
        if len(self._received) < head + 4 + length:
            return
        self._latencies.append(time.perf_counter() - self._sent)
        if not self._received.startswith(b"HTTP/1.1 200"):
            self._failures.append(self._received)
        self._received = b""
        if not self.stopped:
            self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(url: str, pid: int, body: bytes, connections: int, seconds: float) -> str:
    """One line: requests a second, latency, CPU microseconds per request, failures."""
    parts = urlsplit(url)
    request = b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (
        parts.path.encode(),
        parts.netloc.encode(),
        len(body),
    )
    latencies: list[float] = []
    failures: list[bytes] = []
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: _Client(request + body, latencies, failures), parts.hostname or "127.0.0.1", parts.port or 80
        )
        clients.append(client)
    await asyncio.sleep(0.5)
    before, start = cpu_seconds(pid), time.perf_counter()
    latencies.clear()
    await asyncio.sleep(seconds)
    count, used, took = len(latencies), cpu_seconds(pid) - before, time.perf_counter() - start
    for client in clients:
        client.stopped = True
    await asyncio.sleep(0.2)
    taken = sorted(latencies)
    p50, p99 = taken[len(taken) // 2] * 1e3, taken[int(len(taken) * 0.99)] * 1e3
    return (
        f"{connections:4} connections {count / took:8.0f} requests/s  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  "
        f"CPU {used / count * 1e6:6.1f} us a request  failures {len(failures)}"
    )


def main() -> None:
    """Measures 1, 16 and 64 connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("pid", type=int)
    parser.add_argument("body", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    for connections in (1, 16, 64):
        print(uvloop.run(measure(given.url, given.pid, given.body.read_bytes(), connections, given.seconds)))


if __name__ == "__main__":
    main()
