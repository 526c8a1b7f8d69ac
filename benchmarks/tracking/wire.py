"""Calls of the REST API that both servers speak: many at once over plain connections, or one by one."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvloop

API = "/api/2.0/mlflow/"
LONGEST = 90.0
"""Seconds for which an answer is waited for."""


class Wire:
    """One connection that stays open; it takes little of the machine, so that the server has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host.encode()

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer; what is not answered with 200 ends the benchmark."""
        head = b"POST %b%b HTTP/1.1\r\nhost: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._writer.write(head % (API.encode(), path.encode(), self._host, len(body)) + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        said = await self._reader.readexactly(length)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {said.decode()[:500]}")
        return said

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()


async def open_wire(address: str) -> Wire:
    """A connection to a server."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    return Wire(reader, writer, place.netloc)


def on_wires(address: str, count: int, work: Callable[[int, Wire], Awaitable[None]]) -> float:
    """Does the work on so many connections at once and gives the seconds that it took."""

    async def all_of_it() -> float:
        wires = [await open_wire(address) for _ in range(count)]
        begun = time.perf_counter()
        await asyncio.gather(*(work(number, wire) for number, wire in enumerate(wires)))
        took = time.perf_counter() - begun
        for wire in wires:
            wire.close()
        return took

    return uvloop.run(all_of_it())


class Api:
    """The same API, a call at a time."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, timeout=LONGEST)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a body."""
        return self._read(self._http.post(API + path, json=body))

    def get(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        """The answer to a query."""
        return self._read(self._http.get(API + path, params=params))

    def put_file(self, path: str, pieces: Iterable[bytes]) -> None:
        """Sends a file through the proxy."""
        self._read(self._http.put("/api/2.0/mlflow-artifacts/artifacts/" + path, content=pieces))

    def get_file(self, path: str, use: Callable[[bytes], object]) -> None:
        """Hands every piece of a file to `use`."""
        with self._http.stream("GET", "/api/2.0/mlflow-artifacts/artifacts/" + path) as answer:
            answer.raise_for_status()
            for piece in answer.iter_bytes(1 << 20):
                use(piece)

    def experiment(self, name: str) -> str:
        """The id of a new experiment."""
        return str(self.post("experiments/create", {"name": name})["experiment_id"])

    def run(self, experiment: str, name: str) -> str:
        """The id of a new run."""
        body = {"experiment_id": experiment, "run_name": name, "start_time": 1_700_000_000_000}
        return str(self.post("runs/create", body)["run"]["info"]["run_id"])

    def history(self, run: str, name: str) -> list[tuple[int, int, float]]:
        """All points of a metric as (step, timestamp, value), page by page, in the order that the server gives."""
        found: list[tuple[int, int, float]] = []
        params: dict[str, Any] = {"run_id": run, "metric_key": name, "max_results": 25_000}
        while True:
            page = self.get("metrics/get-history", params)
            found += [(int(one["step"]), int(one["timestamp"]), one["value"]) for one in page.get("metrics", [])]
            if not page.get("next_page_token"):
                return found
            params["page_token"] = page["next_page_token"]

    @staticmethod
    def _read(answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.request.url}: {answer.text[:500]}")
        read: dict[str, Any] = json.loads(answer.content or b"{}")
        return read
