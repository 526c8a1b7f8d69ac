"""Training code that logs to a server which goes away, and is killed itself: nothing is lost, nothing is doubled."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import kept
from kept.app.connection import Remote
from kept.core.errors import Unavailable
from kept.tracking.finding import metric_history
from kept.tracking.requests import MetricHistory
from kept.tracking.run import RunDetail
from kept.tracking.runs import ShowRun, show_run
from waiting import free_ports, wait_until_ready

TOKEN = "a long random text"
POINTS = 100_000


class Server:
    """`kept web` in a process that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        root = str(self._folder / "workspace")
        command = [sys.executable, "-m", "kept", "web", "--workspace", root, "--port", str(self.port)]
        with (self._folder / "web.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={**plain(), "KEPT_TOKEN": TOKEN})
        wait_until_ready(self._process, f"{self.url}/api/v1/health/ready", self._folder / "web.log")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def history(self, run: str, name: str = "loss") -> list[float]:
        found = self._call(metric_history, MetricHistory(run=run, name=name)).points
        return [point.value for point in sorted(found, key=lambda point: point.step)]

    def run(self, run: str) -> RunDetail:
        found: RunDetail = self._call(show_run, ShowRun(run=run))
        return found

    def _call(self, operation: Any, request: Any) -> Any:
        remote = Remote(self.url, TOKEN)
        try:
            return remote.call(operation, request)
        finally:
            remote.close()


def plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KEPT_")}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    one = Server(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEPT_URL", one.url)
    monkeypatch.setenv("KEPT_TOKEN", TOKEN)
    monkeypatch.setenv("KEPT_SPOOL", str(tmp_path / "spool"))
    yield one
    one.kill()


def test_a_server_killed_and_started_again_has_each_point_once(server: Server) -> None:
    server.start()
    with kept.track("churn", params={"rate": 0.1}) as run:
        for step in range(POINTS):
            run.log(loss=float(step), step=step)
            if step in {20_000, 60_000}:
                run.flush()
            if step in {20_500, 60_500}:
                server.kill()
            if step in {40_000, 70_000}:
                server.start()
        (server._folder / "model.txt").write_text("weights")
        run.artifact("model.txt")
        run.flush(60)
    assert server.history(run.id) == [float(step) for step in range(POINTS)]
    found = server.run(run.id)
    assert (found.run.status, found.params, found.run.experiment) == ("finished", {"rate": "0.1"}, "1")
    root = found.run.artifact_location.removeprefix("mlflow-artifacts:/")
    address = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{root}/model.txt"
    assert httpx.get(address, headers={"Authorization": f"Bearer {TOKEN}"}).text == "weights"


SCRIPT = """
import os, signal, sys, time, kept
run = kept.track("churn", name="killed", seed=1)
for step in range(30_000):
    run.log(loss=float(step), step=step)
run._recorder.settle()
{before}
print(run.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("up", "before"), [(True, "time.sleep(0.3)"), (False, "")], ids=["in the middle", "never heard"]
)
def test_a_client_that_is_killed_is_delivered_by_a_command(server: Server, up: bool, before: str) -> None:
    if up:
        server.start()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    run = done.stdout.strip()
    command = [sys.executable, "-m", "kept", "runs", "sync", "--json"]
    if not up:
        away = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert away.returncode == 1
        assert "does not answer" in away.stderr
        server.start()
    synced = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    (told,) = msgspec.json.decode(synced.stdout)
    assert (told["run"], told["waiting"]) == (run, False)
    assert server.history(run) == [float(step) for step in range(30_000)]
    assert (server.run(run).run.status, server.run(run).run.seed) == ("failed", 1)
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert msgspec.json.decode(again.stdout) == []


def test_without_a_server_training_goes_on_and_nothing_is_lost(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kept.app.tracked.run._PATIENCE_SECONDS", 3)
    with kept.track("churn") as run:
        begun = time.thread_time()
        for step in range(5_000):
            run.log(loss=float(step), step=step)
        assert time.thread_time() - begun < 5
    assert "kept runs sync sends it" in caplog.text
    server.start()
    monkeypatch.setattr("kept.app.tracked.run._PATIENCE_SECONDS", 10)
    with kept.track("churn") as next_run:
        next_run.flush()
        deadline = time.monotonic() + 60
        while len(list((server._folder / "spool").glob("*/*/"))) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert server.history(run.id) == [float(step) for step in range(5_000)]
    assert server.run(run.id).run.status == "finished"


def test_a_wrong_token_is_told_and_loses_nothing(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    monkeypatch.setattr("kept.app.tracked.run._PATIENCE_SECONDS", 3)
    with kept.track("churn", token="another") as run:
        run.log(loss=1.0)
    assert "the token is missing or wrong" in caplog.text
    subprocess.run([sys.executable, "-m", "kept", "runs", "sync"], timeout=60, check=True, capture_output=True)
    assert server.history(run.id) == [1.0]


def test_what_was_taken_before_the_spool_was_full_arrives(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kept.app.tracked.run._PATIENCE_SECONDS", 3)
    monkeypatch.setenv("KEPT_SPOOL_MEGABYTES", "1")
    taken = 0
    with kept.track("churn", when_full="raise") as run, pytest.raises(Unavailable, match="nothing takes them"):
        for step in range(1_000_000):
            run.log(loss=float(step), step=step)
            taken += 1
    assert taken < 100_000
    server.start()
    subprocess.run([sys.executable, "-m", "kept", "runs", "sync"], timeout=60, check=True, capture_output=True)
    assert server.history(run.id) == [float(step) for step in range(taken)]
