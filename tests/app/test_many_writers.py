"""Eight processes log to one workspace at once: no error, and every point is there once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from kept.app.workspace import open_workspace
from kept.governance.actor import Actor
from kept.governance.journal import VerifyAudit, verify_audit
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.schema import metrics, points, runs
from kept.tracking.recording import create_logged_run
from kept.tracking.requests import CreateRun
from postgres_server import Server
from waiting import free_ports, wait_until_ready

SINGLE, BATCHES, WIDE = 60, 5, 200
_COMMON = """
import json, sys
where, name, shared = sys.argv[1:4]
print("ready", flush=True)
sys.stdin.readline()
"""
# Each logs to a run of its own and to one that all log to: alone, then many at a time.
_WORK = f"""
run = create(name)
for target, mark in ((run, ""), (shared, name)):
    for at in range({SINGLE}):
        log_one(target, f"loss{{mark}}", at)
    for batch in range({BATCHES}):
        log_many(target, f"score{{mark}}", range(batch * {WIDE}, (batch + 1) * {WIDE}))
    log_param(target, f"rate{{mark}}", name)
"""
_EMBEDDED = f"""
from pathlib import Path
from kept.app.workspace import open_workspace
from kept.governance.actor import owner
from kept.settings.settings import load_settings
from kept.tracking.points import Point
from kept.tracking.recording import create_logged_run, log_run
from kept.tracking.requests import CreateRun, LogRun
{_COMMON}
workspace, me = open_workspace(load_settings(Path.cwd(), workspace=where)), owner("ada", "python")
def create(name):
    return create_logged_run(workspace, me, CreateRun(experiment="0", name=name)).id
def log_one(run, key, at):
    log_run(workspace, me, LogRun(run=run, metrics=[Point(name=key, value=at / 2, at=at, step=at)]))
def log_many(run, key, steps):
    log_run(workspace, me, LogRun(run=run, metrics=[Point(name=key, value=at / 2, at=at, step=at) for at in steps]))
def log_param(run, key, value):
    log_run(workspace, me, LogRun(run=run, params={{key: value}}))
{_WORK}
"""
_HTTP = f"""
import http.client
{_COMMON}
server = http.client.HTTPConnection(where, timeout=60)
def post(path, body):
    server.request("POST", "/api/2.0/mlflow/" + path, json.dumps(body), {{"Content-Type": "application/json"}})
    answer = server.getresponse()
    said = answer.read()
    assert answer.status == 200, said
    return json.loads(said)
def create(name):
    return post("runs/create", {{"experiment_id": "0", "run_name": name}})["run"]["info"]["run_id"]
def log_one(run, key, at):
    post("runs/log-metric", {{"run_id": run, "key": key, "value": at / 2, "timestamp": at, "step": at}})
def log_many(run, key, steps):
    sent = [{{"key": key, "value": at / 2, "timestamp": at, "step": at}} for at in steps]
    post("runs/log-batch", {{"run_id": run, "metrics": sent}})
def log_param(run, key, value):
    post("runs/log-parameter", {{"run_id": run, "key": key, "value": value}})
{_WORK}
"""


@pytest.mark.parametrize(
    ("kind", "embedded", "remote"),
    [
        pytest.param("sqlite", 8, 0, id="8 in the folder, SQLite"),
        pytest.param("postgresql", 8, 0, id="8 in the folder, PostgreSQL"),
        pytest.param("sqlite", 0, 8, id="8 through the door, SQLite"),
        pytest.param("postgresql", 0, 8, id="8 through the door, PostgreSQL"),
        pytest.param("sqlite", 4, 4, id="4 in the folder and 4 through the door, SQLite"),
    ],
)
def test_eight_processes_log_at_once(
    kind: str, embedded: int, remote: int, tmp_path: Path, me: Actor, request: pytest.FixtureRequest
) -> None:
    root = str(tmp_path / "kept")
    if kind == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        with server.fresh() as url:
            _log(Settings(workspace=root, database=url), embedded, remote, me)
    else:
        _log(Settings(workspace=root), embedded, remote, me)


def _log(settings: Settings, embedded: int, remote: int, me: Actor) -> None:
    workspace = open_workspace(settings)
    shared = create_logged_run(workspace, me, CreateRun(experiment="0", name="shared")).id
    with _server(settings.workspace) if remote else _nowhere() as address:
        names = [f"writer-{number}" for number in range(embedded + remote)]
        writers = [
            _begun(
                _EMBEDDED if place < embedded else _HTTP,
                settings.workspace if place < embedded else address,
                name,
                shared,
            )
            for place, name in enumerate(names)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
        ended = [writer.communicate(timeout=540) for writer in writers]
    assert [said for _, said in ended] == [""] * len(names)
    assert [writer.returncode for writer in writers] == [0] * len(names)
    _check(workspace, names, me)


def _check(workspace: Workspace, names: list[str], me: Actor) -> None:
    single = [(at, at, at / 2) for at in range(SINGLE)]
    many = [(at, at, at / 2) for at in range(BATCHES * WIDE)]
    expected = {("shared", f"loss{name}"): single for name in names}
    expected |= {("shared", f"score{name}"): many for name in names}
    expected |= {(name, "loss"): single for name in names}
    expected |= {(name, "score"): many for name in names}
    asked = select(runs.c.name, metrics.c.name, points.c.step, points.c.at, points.c.value)
    asked = asked.join_from(points, metrics, points.c.series == metrics.c.series).join(
        runs, runs.c.number == metrics.c.run
    )
    found: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
    with workspace.database.reading() as connection:
        for run, metric, step, at, value in connection.execute(asked.order_by(points.c.at)):
            found.setdefault((run, metric), []).append((step, at, value))
        latest = select(runs.c.name, metrics.c.name, metrics.c.value).join(runs, runs.c.number == metrics.c.run)
        last = {(run, metric): value for run, metric, value in connection.execute(latest)}
    assert found == expected
    assert last == {place: logged[-1][2] for place, logged in expected.items()}
    verify_audit(workspace, me, VerifyAudit())


def _begun(code: str, where: str, name: str, shared: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code, where, name, shared], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


@contextmanager
def _nowhere() -> Iterator[str]:
    yield ""


@contextmanager
def _server(root: str) -> Iterator[str]:
    """The address of a `kept web` of the folder, which knows its database from there."""
    port = free_ports()
    log = Path(root) / "web.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "kept", "web", "--workspace", root, "--port", str(port)],
            stdout=stream,
            stderr=stream,
            env={name: value for name, value in os.environ.items() if not name.startswith("KEPT_")},
        )
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}/health", log)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
    assert log.read_text() == f"http://127.0.0.1:{port} (pages and API)\n"
