"""Servers that tests start: ports that nobody else has, and waiting until one answers."""

import socket
import subprocess
import time
from pathlib import Path

import httpx

_LONGEST_SECONDS = 180.0
# Below those that the system gives to clients, and above those of well-known services.
_LOWEST, _HIGHEST = 12_000, 32_000

_TAKEN: list[socket.socket] = []


def free_ports(count: int = 1) -> int:
    """The first of so many ports in a row that nobody listens on; no other test is given one while this process runs.

    Whoever binds port 0 and lets it go may find it taken by any client, or by the server of another process of tests,
    before its own server has it. The UDP port of the same number, which nobody wants, is kept as the mark.
    """
    for first in range(_LOWEST, _HIGHEST, count):
        marks: list[socket.socket] = []
        try:
            for port in range(first, first + count):
                marks.append(socket.socket(type=socket.SOCK_DGRAM))
                marks[-1].bind(("127.0.0.1", port))
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
        except OSError:
            for mark in marks:
                mark.close()
            continue
        _TAKEN.extend(marks)
        return first
    raise AssertionError("there are no free ports")


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Returns when the address answers with success; what the server said is the error where it ends, or is never ready."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready within {_LONGEST_SECONDS:g} s: {log.read_text()}")
