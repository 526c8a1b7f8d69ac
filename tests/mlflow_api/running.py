"""The processes of these tests: a server of Kept, and scripts of people who use the published client of MLflow."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import free_ports, wait_until_ready


@contextmanager
def serving(root: Path, **told: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A `kept web` process on a workspace in the folder, with its address; `told` are variables of its surroundings."""
    port = free_ports()
    address = f"http://127.0.0.1:{port}"
    with (root / "web.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kept", "web", "--workspace", str(root / "workspace"), "--port", str(port)],
            stdout=log,
            stderr=log,
            env=environment() | told,
        )
    try:
        wait_until_ready(process, f"{address}/api/v1/health/ready", root / "web.log")
        yield address, process
    finally:
        process.terminate()
        process.wait(60)


def kept(folder: Path, *arguments: str, fails: int = 0) -> str:
    """What a command prints; `fails` is the code with which it is expected to end."""
    done = subprocess.run(
        [sys.executable, "-m", "kept", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == fails, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stderr if fails else done.stdout


@contextmanager
def predicting(folder: Path) -> Iterator[str]:
    """The address of a `kept serve` process."""
    port = free_ports(2) + 1
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kept", "serve", "--workspace", "workspace", "--port", str(port - 1)],
            cwd=folder, stdout=log, stderr=log, env=environment(),
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, f"{address}/v2/health/ready", folder / "serve.log")
        yield address
    finally:
        process.terminate()
        process.wait(60)


def environment() -> dict[str, str]:
    """The environment of a command of Kept: this one without what would configure it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEPT_")}
    return {**kept, "KEPT_ACTOR": "ada", "KEPT_POLL_SECONDS": "0.1"}


def run_script(python: Path, script: Path, server: str, folder: Path) -> None:
    """Runs a script in a folder, with the client pointed to a server, and expects that it ends well."""
    surroundings = {
        "MLFLOW_TRACKING_URI": server,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [str(python), "-W", "ignore", str(script)],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
