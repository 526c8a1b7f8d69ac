"""Two workers of one workspace: one watches, the other waits."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from polars.exceptions import PanicException

from kept.app import jobs, worker
from kept.app.processes import ListProcesses, list_processes
from kept.app.tracked.spool import FACTS, MAGIC, facts_of
from kept.app.worker import Worker
from kept.core.errors import Unavailable
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.loop.cycle import Look
from kept.store.spool import HEADER, SpoolWriter
from kept.tracking.runs import ShowRun, show_run
from kept.tracking.spooled import Begun, Frame, Logged


@contextmanager
def working(workspace: Workspace) -> Iterator[Worker]:
    one = Worker(workspace)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield one
    finally:
        one.stop()
        thread.join()


def until(condition: object, seconds: float = 60.0) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_what_fails_is_told_by_its_sign_of_life_and_logged_in_full_once(
    workspace: Workspace, me: Actor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kept.worker")

    def broken(_: Workspace, __: Actor) -> list[str]:
        raise Unavailable("the disk is full", where="tables")

    monkeypatch.setattr(worker, "looks", broken)
    monkeypatch.setattr(jobs, "FIRST_PAUSE_SECONDS", 0.05)

    def failing() -> list[dict[str, str]]:
        return [one.details.get("failing", {}) for one in list_processes(workspace, me, ListProcesses())]

    with working(workspace):
        assert until(lambda: failing() == [{"loop": "Unavailable: tables: the disk is full"}])
        assert until(lambda: "failed again" in caplog.text)
        monkeypatch.setattr(worker, "looks", lambda _workspace, _actor: [])
        assert until(lambda: failing() == [{}])
    said = caplog.text
    assert said.count("Traceback") == 1
    assert "works again" in said


@pytest.mark.parametrize(
    "error",
    [Unavailable("the table cannot be read", where="predictions/one"), PanicException("no Exception is raised so")],
    ids=["fails", "panics"],
)
def test_an_endpoint_that_fails_keeps_no_other_waiting(
    workspace: Workspace, me: Actor, monkeypatch: pytest.MonkeyPatch, error: Exception | PanicException
) -> None:
    tries, others = [], []

    def broken() -> list[str]:
        tries.append(1)
        raise error

    def well() -> list[str]:
        others.append(1)
        return []

    both = [Look(name="loop of one", run=broken), Look(name="loop of two", run=well)]
    monkeypatch.setattr(worker, "looks", lambda _workspace, _actor: both)
    monkeypatch.setattr(jobs, "FIRST_PAUSE_SECONDS", 600.0)
    monkeypatch.setattr(jobs, "LONGEST_PAUSE_SECONDS", 600.0)

    def failing() -> list[str]:
        return [name for one in list_processes(workspace, me, ListProcesses()) for name in one.details["failing"]]

    with working(workspace):
        assert until(lambda: failing() == ["loop of one"])
        before = len(others)
        assert until(lambda: len(others) > before + 2)
    assert len(tries) == 1


def test_one_of_two_workers_watches(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def look(_: Workspace, __: Actor) -> list[Look]:
        looks.append(threading.current_thread().name)
        return []

    monkeypatch.setattr(worker, "looks", look)
    with working(workspace):
        assert until(lambda: len(looks) > 0)
        with working(workspace):
            time.sleep(1.0)
            assert len(set(looks)) == 1
    with working(workspace):
        assert until(lambda: len(set(looks)) == 2)


def test_it_delivers_what_a_killed_process_had_logged(workspace: Workspace, me: Actor) -> None:
    facts = facts_of("a" * 32, begun=True, actor="ada", address="")
    writer = SpoolWriter(workspace.root / "logged", MAGIC, facts={FACTS: msgspec.json.encode(facts)})
    for frame in (
        Frame(begun=Begun(experiment="churn", at=workspace.clock.now())),
        Frame(logged=[Logged(at=1, step=0, values={"loss": 0.5})]),
    ):
        writer.append(bytearray(HEADER.size) + msgspec.msgpack.encode(frame))
    writer.close()
    with working(workspace):
        assert until(lambda: not writer.folder.exists())
    found = show_run(workspace, me, ShowRun(run="a" * 32))
    assert (found.metrics, found.run.status) == ({"loss": 0.5}, "failed")
