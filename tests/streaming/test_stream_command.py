"""`kept score-stream` as a process: stopped, and killed at any moment."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from brokers import Broker, rows, value

from kept.app.workspace import open_workspace
from kept.deployment.endpoint import Endpoint
from kept.deployment.records import save_endpoint
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.packaging.bundle import store_bundle
from kept.settings.settings import Settings
from registering import register
from waiting import free_ports

MESSAGES, BAD = 3_000, 30
KILLS = 3


@pytest.fixture
def serving(tmp_path: Path, me: Actor, bundle: Path) -> Workspace:
    """A workspace whose endpoint `rides` serves a model of that name."""
    workspace = open_workspace(Settings(workspace=str(tmp_path / "workspace")))
    digest = store_bundle(bundle, workspace.blobs)
    register(workspace, me, "rides", digest)
    with workspace.database.writing() as connection:
        save_endpoint(connection, Endpoint(name="rides", project="rides", model="rides", created_at=datetime.now(UTC)))
    return workspace


@contextmanager
def scoring(workspace: Workspace, broker: Broker, topic: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    config = workspace.root / "client.properties"
    config.write_text(f"session.timeout.ms=6000\ngroup.instance.id={topic}\nlog_level=0\n")
    command = [sys.executable, "-m", "kept", "score-stream", "rides", topic, f"{topic}-answers", *more]
    command += ["--brokers", broker.address, "--config", str(config), "--workspace", str(workspace.root), "--json"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("KEPT_")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def logged(workspace: Workspace, part: str = "predictions") -> pl.DataFrame:
    if workspace.tables.version(f"{part}/rides") is None:
        return pl.DataFrame({"id": []}, schema={"id": pl.String})
    return workspace.tables.read(f"{part}/rides").collect()


def wait_for(workspace: Workspace, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while logged(workspace).height < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a process says when it is asked to end."""
    process.terminate()
    said, trouble = process.communicate(timeout=60)
    assert process.returncode == 0, trouble
    found: dict[str, Any] = json.loads(said)
    return found


def metrics(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text


def test_killed_at_any_moment_nothing_is_lost_and_what_is_sent_is_what_is_logged_once(
    serving: Workspace, me: Actor, bundle: Path, broker: Broker, topic: str
) -> None:
    chance = random.Random(7)
    messages = [value(**row) for row in rows(MESSAGES).to_dicts()] + [b"{"] * BAD
    chance.shuffle(messages)
    broker.fill(topic, [(str(place), one) for place, one in enumerate(messages)])
    for kill in range(1, KILLS + 1):
        with scoring(serving, broker, topic, "--batch", "40", "--wait", "0.02") as process:
            wait_for(serving, MESSAGES * kill // (KILLS + 2), process)
            time.sleep(chance.uniform(0, 0.1))
        register(serving, me, "rides", store_bundle(bundle, serving.blobs))
    with scoring(serving, broker, topic) as process:
        wait_for(serving, MESSAGES, process)
        assert ended(process)["version"] == KILLS + 1
    answers = broker.read(f"{topic}-answers", MESSAGES)
    dead = broker.read(f"{topic}-answers-dead-letters", BAD)
    said = [json.loads(one.value() or b"") for one in answers]
    ids = [one["id"] for one in said]
    assert {one.key() for one in answers} == {str(place).encode() for place, one in enumerate(messages) if one != b"{"}
    assert len(set(ids)) == MESSAGES
    table = logged(serving)
    assert (table.height, set(table["id"]), set(table["role"])) == (MESSAGES, set(ids), {"stream"})
    assert {(one["id"], one["version"]) for one in said} == set(table.select("id", "version").iter_rows())
    assert {one.key() for one in dead} == {str(place).encode() for place, one in enumerate(messages) if one == b"{"}
    assert logged(serving, "prediction_errors").height == BAD


def test_a_signal_lets_the_turn_end_and_the_next_process_goes_on_behind_it(
    serving: Workspace, broker: Broker, topic: str
) -> None:
    port = free_ports()
    broker.fill(topic, [(None, value(distance=1.0, hour=1))] * 100)
    with scoring(serving, broker, topic, "--metrics-port", str(port)) as process:
        wait_for(serving, 100, process)
        told = metrics(port)
        found = ended(process)
    assert "kept_stream_scored_total" in told
    assert (found["scored"], found["refused"], found["repeats"]) == (100, 0, 0)
    broker.fill(topic, [(None, value(distance=2.0, hour=1))] * 10)
    with scoring(serving, broker, topic) as process:
        wait_for(serving, 110, process)
        assert ended(process)["scored"] == 10
    assert len(broker.read(f"{topic}-answers", 110)) == 110


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing", "a", "b"), "nothing"),
        (("rides", "a", "b", "--endpoint", "elsewhere"), "there is no endpoint 'elsewhere'"),
        (("rides", "a", "b", "--config", "none.properties"), "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(
    serving: Workspace, arguments: tuple[str, ...], said: str
) -> None:
    command = [sys.executable, "-m", "kept", "score-stream", *arguments, "--workspace", str(serving.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
