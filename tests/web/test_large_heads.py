"""Heads that would fill the memory of the web server, sent to a real one."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kept.web.bounded import LARGEST_HEAD, MOST_HEADERS
from waiting import free_ports

START = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n"
MEGABYTE = b"a" * (1 << 20)


class Web:
    """`kept web` in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.port = free_ports()
        command = [sys.executable, "-m", "kept", "web", "--workspace", str(root), "--port", str(self.port)]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("KEPT_")}
        self.process = subprocess.Popen(command, cwd=root.parent, env=environment, stdout=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(1_200):
            if self.well():
                return
            time.sleep(0.1)
        raise AssertionError("it does not answer")

    def well(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").status_code == 200
        except httpx.TransportError:
            return False

    def send(self, *parts: bytes, most: int = 64) -> bytes:
        """What is answered to these bytes, the last of them sent again and again, at most so often."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            try:
                for part in (*parts, *[parts[-1]] * most):
                    connection.sendall(part)
            except OSError:
                pass
            got = b""
            try:
                while piece := connection.recv(1 << 16):
                    got += piece
            except OSError:
                pass
            return got

    @property
    def memory(self) -> int:
        """Bytes that the process holds now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    made = Web(tmp_path_factory.mktemp("web") / "workspace")
    yield made
    made.process.terminate()
    made.process.wait(60)


@pytest.mark.parametrize(
    "parts",
    [
        (START + b"x-bomb: ", MEGABYTE),
        (START, b"x-a: b\r\n" * 1_000),
        (START + b"x", MEGABYTE),
        (b"GET /", MEGABYTE),
        (START + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x-trailer: b\r\n" * 1_000),
    ],
    ids=["one header", "many headers", "the name of a header", "the path", "trailers"],
)
def test_a_head_without_end_is_refused_and_stops_nobody_else(web: Web, parts: tuple[bytes, ...]) -> None:
    before = web.memory
    said = web.send(*parts)
    assert said.startswith(b"HTTP/1.1 431 ") or b"HTTP/1.1 200" in said or said == b""
    assert b"431" in said or parts[0].startswith(START + b"transfer")
    assert web.memory - before < 40 << 20
    assert web.well()


def test_heads_that_people_send_are_taken(web: Web) -> None:
    with httpx.Client() as client:
        for headers in ({"x-large": "a" * (LARGEST_HEAD - 1_000)}, {f"x-{n}": "b" for n in range(MOST_HEADERS - 10)}):
            for _ in range(3):
                assert client.get(f"{web.url}/health", headers=headers).status_code == 200
        too_many = {f"x-{n}": "b" for n in range(MOST_HEADERS + 1)}
        assert client.get(f"{web.url}/health", headers=too_many).status_code == 431


def test_a_body_is_no_part_of_the_head(web: Web) -> None:
    with httpx.Client() as client:
        for _ in range(3):
            answer = client.post(f"{web.url}/api/v1/registry/list", content=b"x" * (8 << 20))
            assert answer.status_code in {400, 404}
        assert client.get(f"{web.url}/health").status_code == 200
