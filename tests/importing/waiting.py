"""Waiting for a server that was started."""

import subprocess
import time
from pathlib import Path

import httpx

_LONGEST_SECONDS = 120.0


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
