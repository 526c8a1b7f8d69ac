"""Pictures of the main pages, taken of the demo's workspace: `make screenshots`."""

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

WORKSPACE = Path(".kept-demo")
PICTURES = Path("docs/pictures")
KEPT = [sys.executable, "-m", "kept"]
LARGEST = 300_000
DAY, NIGHT = "1", "0"
_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--hide-scrollbars",
]
_QUIET = ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=6000"]


def main() -> int:
    """Takes every picture; 1 where there is no browser or a picture is too large."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        print("There is no Chromium on this machine. Install one, for example: apt-get install chromium")
        return 1
    if not (WORKSPACE / "workspace.json").is_file():
        subprocess.run([*KEPT, "demo", "--exit", "--workspace", str(WORKSPACE)], check=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    failed = False
    with running() as address:
        for name, path, height, scheme in pages(address):
            picture = PICTURES / f"{name}.png"
            take(browser, f"{address}{path}", picture, height, scheme)
            size = picture.stat().st_size
            print(f"{picture}  {size // 1000} kB")
            failed |= size > LARGEST
    return int(failed)


def pages(address: str) -> Iterator[tuple[str, str, int, str]]:
    """Name, path, height and colour scheme of each picture, found by following the pages' own links."""
    loop = httpx.get(address, timeout=30).raise_for_status().text
    yield "loop", "/", 1120, DAY
    yield "loop-at-night", "/", 1120, NIGHT
    for name, pattern, height in (("model", r"/models/[^/\"]+/\d+", 1300), ("run", r"/runs/[0-9a-f-]{36}", 900)):
        if found := re.search(f'href="({pattern})"', loop):
            yield name, found[1], height, DAY
    yield "audit", "/audit?verify=true", 620, NIGHT


def take(browser: str, url: str, picture: Path, height: int, scheme: str) -> None:
    """One picture of one page; a page that fails is no picture."""
    httpx.get(url, timeout=30).raise_for_status()
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *_OPTIONS, *_QUIET, f"--user-data-dir={profile}", f"--window-size=1280,{height}"]
        command += [f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={picture.resolve()}", url]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


@contextmanager
def running() -> Iterator[str]:
    """Kept on the demo's workspace, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*KEPT, "up", "--workspace", str(WORKSPACE), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                if httpx.get(f"{address}/api/v1/health/ready").is_success:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        # The worker and the service have said by then that they live.
        time.sleep(5)
        yield address
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    sys.exit(main())
