"""What the tests of the MLflow door share."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ADDRESS = "http://127.0.0.1:8700"
Ask = Callable[..., Any]
"""Asks an endpoint: `ask(method, path, body, fails=(status, code), root=..., **query)`."""


@contextmanager
def serving(root: Path, **told: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A `kept web` process on a workspace in the folder, with its address; `told` are variables of its surroundings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("KEPT_")}
    with (root / "web.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kept", "web", "--workspace", str(root / "workspace"), "--port", str(port)],
            stdout=log,
            stderr=log,
            env={**ours, "KEPT_ACTOR": "ada", **told},
        )
    try:
        for _ in range(300):
            assert process.poll() is None, (root / "web.log").read_text()
            try:
                if httpx.get(f"{address}/api/v1/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield address, process
    finally:
        process.terminate()
        process.wait(20)
