"""Goodput of a running prediction service when more is asked than it can do: `python benchmarks/overload.py URL PID BODY.json`.

First the peak, with connections that send their next request when the answer is there. Then requests come at moments that do
not depend on the answers (1, 2, 3 times the peak, in Poisson's way), each over a connection that is free. Good is an answer 200
within the deadline, counted from the moment the request was due; each says its deadline (X-Request-Timeout-Ms). The client ignores
Retry-After on purpose. It runs on the same machine and takes more CPU than the service does: what it could not send in time (no free
connection, or too late) is shown as unsent, and the rate that was sent is shown beside the rate that was wanted. On a busy machine the share of the service's CPU
that went into good answers, each at the price it has at the peak, is the steadier figure.
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop
from prediction_path import cpu_seconds

_WARM_UP = 0.5


class _Client(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = b""
        self._due: float | None = None
        self.done: Callable[[_Client], None] = _nothing
        self.counts: Counter[str] = Counter()
        self.deadline = 0.25

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it

    def send(self, due: float) -> None:
        """Sends the request that was due at that moment."""
        self._due = due
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0 or self._due is None:
            return
        length = int(self._received[self._received.index(b"content-length: ") + 16 :].split(b"\r\n", 1)[0])
        if len(self._received) < head + 4 + length:
            return
        status = self._received[9:12].decode()
        in_time = time.perf_counter() - self._due <= self.deadline
        self.counts["good" if status == "200" and in_time else "late" if status == "200" else status] += 1
        self._received, self._due = b"", None
        self.done(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.counts["lost" if exc is None else "broken"] += 1


def _nothing(client: _Client) -> None:
    """What a client does with an answer when nothing more is wanted."""


async def _open(url: str, body: bytes, connections: int, deadline: float, token: str) -> list[_Client]:
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    head += f"x-request-timeout-ms: {deadline * 1000:.0f}\r\n"
    if token:
        head += f"authorization: Bearer {token}\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    loop = asyncio.get_running_loop()
    counts: Counter[str] = Counter()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: _Client(request), parts.hostname or "127.0.0.1", parts.port or 80
        )
        client.counts, client.deadline = counts, deadline
        clients.append(client)
    return clients


async def peak(clients: list[_Client], seconds: float) -> float:
    """Requests a second of connections that are never idle."""

    def again(client: _Client) -> None:
        client.send(time.perf_counter())

    counts = clients[0].counts
    for client in clients:
        client.done = again
        again(client)
    await asyncio.sleep(_WARM_UP)
    before, start = counts["good"], time.perf_counter()
    await asyncio.sleep(seconds)
    found = (counts["good"] - before) / (time.perf_counter() - start)
    for client in clients:
        client.done = _nothing
    await asyncio.sleep(0.3)
    counts.clear()
    return found


async def offer(clients: list[_Client], rate: float, seconds: float) -> tuple[Counter[str], float]:
    """Requests at a rate, whatever becomes of them. What became of them, and for how long they were sent."""
    free = deque(clients)
    counts, deadline = clients[0].counts, clients[0].deadline
    for client in clients:
        client.done = free.append
    start = time.perf_counter()
    due, end = start, start + seconds
    chance = random.Random(1)
    while due < end:
        now = time.perf_counter()
        while due <= now and due < end:
            if free and now - due < deadline:
                free.popleft().send(due)
                counts["sent"] += 1
            else:
                counts["unsent"] += 1
            due += chance.expovariate(rate)
        await asyncio.sleep(0.0005)
    took = time.perf_counter() - start
    await asyncio.sleep(deadline + 0.5)
    found = counts.copy()
    counts.clear()
    return found, took


@dataclass(frozen=True)
class Offered:
    """What became of requests that came at some times the peak, a second.

    Attributes:
        share: good answers, of the peak.
        spent: of the service's CPU, what went into good answers at the price that they have at the peak.
    """

    factor: float
    wanted: float
    sent: float
    good: float
    share: float
    others: dict[str, int]
    cpu: float
    spent: float


async def measure(given: argparse.Namespace) -> list[Offered]:
    """The loads that were asked for, each in times of the peak, which is printed first."""
    clients = await _open(given.url, given.body.read_bytes(), given.connections, given.deadline, given.token)
    before = cpu_seconds(given.pid)
    best = await peak(clients[:64], given.seconds)
    used = (cpu_seconds(given.pid) - before) / (given.seconds + _WARM_UP)
    if not given.json:
        print(
            f"peak {best:7.0f}/s with 64 of {given.connections} connections, CPU {used:4.0%}; "
            f"deadline {given.deadline * 1000:.0f} ms"
        )
    cost = used / best
    found = []
    for factor in given.times:
        before = cpu_seconds(given.pid)
        counts, took = await offer(clients, best * factor, given.seconds)
        good = counts["good"] / took
        others = {name: round(count / took) for name, count in sorted(counts.items()) if name not in {"good", "sent"}}
        used = (cpu_seconds(given.pid) - before) / took
        found.append(
            Offered(factor, best * factor, counts["sent"] / took, good, good / best, others, used, good * cost / used)
        )
    return found


def main() -> None:
    """Measures once, twice and three times the peak, or what is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("pid", type=int)
    parser.add_argument("body", type=Path)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--deadline", type=float, default=0.25)
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 2.0, 3.0])
    parser.add_argument("--token", default="")
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args()
    found = uvloop.run(measure(given))
    if given.json:
        print(json.dumps([asdict(one) for one in found]))
        return
    for one in found:
        print(
            f"{one.factor:.0f}x offered {one.wanted:7.0f}/s sent {one.sent:7.0f}/s good {one.good:7.0f}/s "
            f"({one.share:4.0%} of the peak) others {one.others} CPU {one.cpu:4.0%}, of it on good answers {one.spent:4.0%}"
        )


if __name__ == "__main__":
    main()
