"""The two servers: each starts on a free port of loopback over a folder of its own, and is ended by its process id."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

_LONGEST_START = 120.0
_NOTHING = Path(__file__).with_name("nothing.py")
_PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("KEPT_", "MLFLOW_"))}


class Server:
    """A server that is started, stopped and started again over the same folder."""

    def __init__(self, name: str, command: list[str], ready: str, folder: Path, database: Path, **more: str) -> None:
        self.name = name
        self.seconds_to_ready = 0.0
        self._command = command
        self._ready = ready
        self._folder = folder
        self._database = database
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when the server says that it is ready."""
        self.port = _free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [part.replace("PORT", str(self.port)) for part in self._command]
        begun = time.perf_counter()
        with (self._folder / "server.log").open("ab") as log:
            # A session of its own: what the server starts is ended with it.
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, env=self._environment(), start_new_session=True
            )
        while time.perf_counter() - begun < _LONGEST_START:
            if self._process.poll() is not None:
                break
            with suppress(httpx.TransportError):
                if httpx.get(self.address + self._ready, timeout=5).status_code == 200:
                    self.seconds_to_ready = time.perf_counter() - begun
                    return
            time.sleep(0.02)
        self.stop()
        said = (self._folder / "server.log").read_text()[-2_000:]
        sys.exit(f"{self.name} was not ready within {_LONGEST_START:.0f} s. It said:\n{said}")

    def stop(self) -> None:
        """Asks the server to end, and ends what is left of it."""
        process = self._process
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(15)
        self._process = None

    def memory(self) -> float:
        """MB that all its processes hold: their proportional set size."""
        if self._process is None:
            return 0.0
        return sum(_proportional(pid) for pid in _family(self._process.pid)) / 1_000

    @contextmanager
    def growth(self) -> Iterator[list[float]]:
        """Watches its memory: the list's only item is by how many MB it grew at most."""
        most = [0.0]
        begun = self.memory()
        stopped = threading.Event()

        def watch() -> None:
            while not stopped.wait(0.02):
                most[0] = max(most[0], self.memory() - begun)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield most
        finally:
            stopped.set()
            watcher.join()

    def stored(self) -> int:
        """Bytes of its database that are in use, those that wait in the log too."""
        with sqlite3.connect(f"file:{self._database}?mode=ro", uri=True) as connection:
            used, free, size = (
                int(connection.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        connection.close()
        return (used - free) * size

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self._database

    def _environment(self) -> dict[str, str]:
        # Its documented switches for what an experiment tracker has no use for.
        switched = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        return {**_PLAIN, **switched, **self._more}

    def __enter__(self) -> Self:
        """Starts nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops whatever runs."""
        self.stop()


def kept_server(folder: Path, database: str = "") -> Server:
    """`kept web` as it comes, on SQLite or on a PostgreSQL database."""
    workspace = folder / "workspace"
    command = [sys.executable, "-m", "kept", "web", "--workspace", str(workspace), "--port", "PORT"]
    more = {"KEPT_DATABASE": database} if database else {}
    return Server("Kept", command, "/api/v1/health/ready", folder, workspace / "kept.db", **more)


def nothing_server(folder: Path, upstream: Server) -> Server:
    """What repeats the other's first answers and does nothing else."""
    command = [sys.executable, str(_NOTHING), "PORT", upstream.address]
    return Server("Nothing", command, "/api/v1/health/ready", folder, upstream.database)


def mlflow_server(folder: Path, environment: Path, workers: int) -> Server:
    """`mlflow server` on SQLite; one worker is its best on few cores: the fastest to answer and the lightest."""
    database = folder / "mlflow.db"
    command = [
        str(environment / "bin" / "mlflow"), "server", "--backend-store-uri", f"sqlite:///{database}",
        "--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", "PORT",
        "--workers", str(workers), "--uvicorn-opts", "--log-level warning",
    ]  # fmt: skip
    return Server("MLflow", command, "/health", folder, database)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _family(root: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(") ", 1)[1].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _proportional(pid: int) -> int:
    """KB of a process, where what is shared counts by its part; 0 when it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
