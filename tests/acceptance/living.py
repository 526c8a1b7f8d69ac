"""Kept as a user runs it: a folder with a project, commands, processes, requests. Nothing here knows the inside."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import polars as pl
import pytest
from trains import DAY, OPENING, START

from kept.app.connection import Embedded
from kept.app.processes import ListProcesses, list_processes
from kept.app.workspace import embedded_actor, open_workspace
from kept.cli.main import main
from kept.core.errors import NotFound
from kept.settings.settings import Settings
from kept.testing.jobs import alive
from waiting import free_ports

HERE = Path(__file__).parent
ENDPOINT = "trains"
PATIENCE = 180.0

Found = TypeVar("Found")


def until(look: Callable[[], Found], seconds: float = PATIENCE, *, every: float = 0.05) -> Found:
    """Waits until what is looked for is there."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} seconds: {getattr(look, '__doc__', None) or look}")
        time.sleep(every)


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: this one without what would configure Kept."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEPT_")}
    return {**kept, "KEPT_ACTOR": "ada", "KEPT_POLL_SECONDS": "0.1", **more}


def begin(folder: Path, project: str | None = None) -> Path:
    """A project's folder: the trains, or a project of one's own."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "trains.py", folder)
    if project is None:
        shutil.copy(HERE / "trains_project.py", folder / "project.py")
    else:
        (folder / "project.py").write_text(project)
    return folder


def run_kept(
    folder: Path, *arguments: str, code: int | None = 0, seconds: float = 540, **more: str
) -> subprocess.CompletedProcess[str]:
    """A command, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "kept", *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert code is None or done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """A command in this process, which spares the imports; its exit code."""
    monkeypatch.setattr(sys, "argv", ["kept", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def spawn(folder: Path, *arguments: str, log: str = "out.log", **more: str) -> subprocess.Popen[bytes]:
    """A command that goes on; what it says goes to a file in the folder."""
    with (folder / log).open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "kept", *arguments],
            cwd=folder,
            env=environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )


def end(process: subprocess.Popen[bytes], seconds: float = 60) -> int:
    """Asks a process to end, and gives its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def children(pid: int) -> list[int]:
    """The processes that a process has started, directly."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def connect(folder: Path) -> Embedded:
    """The workspace of a folder."""
    settings = Settings(workspace=str(folder / ".kept"), actor="ada")
    return Embedded(open_workspace(settings, create=False), embedded_actor(settings, "python"))


@dataclass
class House:
    """`kept up` in a folder."""

    folder: Path
    port: int = field(default_factory=partial(free_ports, 2))
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.api = f"http://127.0.0.1:{self.port}"
        self.predictions = f"http://127.0.0.1:{self.port + 1}"
        self.connection = connect(self.folder)
        self.http = httpx.Client(timeout=PATIENCE)

    def up(self) -> "House":
        """Starts it, and waits until predictions and the API answer."""
        self.process = spawn(self.folder, "up", "--port", str(self.port), log="up.log")
        until(self.ready)
        return self

    def ready(self) -> bool:
        """Whether both ports say that they are ready."""
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "up.log").read_text()
        return self.answers(f"{self.api}/api/v1/health/ready") and self.answers(f"{self.predictions}/v2/health/ready")

    def answers(self, url: str) -> bool:
        """Whether an address answers with success."""
        try:
            return self.http.get(url).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> int:
        """Ctrl-C."""
        assert self.process is not None
        return end(self.process)

    def pid(self, kind: str) -> int:
        """The process that is up, of a kind."""

        def living() -> list[int]:
            found = self.connection.call(list_processes, ListProcesses())
            return [one.pid for one in found if one.kind == kind and alive(one.pid)]

        return until(living)[-1]

    def kill(self, kind: str) -> int:
        """kill -9; gives the process that was."""
        pid = self.pid(kind)
        os.kill(pid, signal.SIGKILL)
        return pid

    def predict(self, http: httpx.Client, rows: pl.DataFrame) -> list[str]:
        """Sends rows of trains; the ids of their predictions."""
        response = http.post(f"{self.predictions}/predict/{ENDPOINT}", json=request_of(rows))
        assert response.status_code == 200, response.text
        return [one["id"] for one in response.json()["predictions"]]

    def label(self, http: httpx.Client, labels: Sequence[dict[str, Any]]) -> None:
        """Tells what turned out to be true."""
        body = msgspec.json.encode({"endpoint": ENDPOINT, "labels": labels})
        response = http.post(f"{self.api}/api/v1/labels", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 200, response.text
        assert response.json() == {"recorded": len(labels)}

    def logged(self) -> pl.DataFrame:
        """The predictions that were shipped."""
        try:
            return self.connection.workspace.tables.read(f"predictions/{ENDPOINT}").collect()
        except NotFound:
            return pl.DataFrame({"id": []}, schema={"id": pl.String})

    def shipped(self, ids: Sequence[str]) -> pl.DataFrame:
        """The predictions that were shipped, once these are among them."""
        until(lambda: set(ids) <= set(self.logged()["id"]))
        return self.logged()


def request_of(rows: pl.DataFrame) -> dict[str, Any]:
    """Rows of trains as a request."""
    return {
        "rows": rows.select("line", "people").to_dicts(),
        "keys": rows["id"].to_list(),
        "event_times": [one.isoformat() for one in rows["at"]],
    }


@dataclass
class Load:
    """Senders that never rest; what was answered, and what was not."""

    answered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Requests that have ended."""
        return len(self.answered) + len(self.failed)


@contextmanager
def load(house: House, rows: pl.DataFrame, *, senders: int = 2, pause: float = 0.01) -> Iterator[Load]:
    """Asks for predictions of the rows, one at a time and again and again, each sender on its own connection."""
    found, stopping = Load(), threading.Event()
    turns = itertools.cycle(range(rows.height))

    def send() -> None:
        with httpx.Client(timeout=PATIENCE) as http:
            while not stopping.wait(pause):
                try:
                    found.answered += house.predict(http, rows[next(turns)])
                except (httpx.HTTPError, AssertionError) as error:
                    found.failed.append(repr(error))

    threads = [threading.Thread(target=send, daemon=True) for _ in range(senders)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stopping.set()
        for thread in threads:
            thread.join(PATIENCE)


def moment(number: int) -> datetime:
    """The beginning of a day of the trains."""
    return START + DAY * number


def first_version(folder: Path) -> Path:
    """A project's folder with its first version released: what later tests copy."""
    begin(folder)
    run_kept(folder, "run", "--until", moment(OPENING).isoformat(), "--window", "14d", "--json")
    run_kept(folder, "release", "--json")
    return folder
