import os
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from kept.app import records
from kept.app.alive import BORN, birth_of, surely_gone
from kept.app.heartbeat import Heartbeat
from kept.app.process import Process
from kept.app.processes import ListProcesses, list_processes
from kept.core.clock import SystemClock
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace

pytestmark = pytest.mark.skipif(birth_of(os.getpid()) is None, reason="the system does not tell when a process began")


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def listed(workspace: Workspace, me: Actor) -> list[Process]:
    return list_processes(workspace, me, ListProcesses())


def test_a_killed_process_is_listed_no_more(workspace: Workspace, me: Actor, child: "subprocess.Popen[bytes]") -> None:
    Heartbeat(workspace.database, SystemClock(), "work", "").beat(failing={})
    (own,) = listed(workspace, me)
    assert own.details["failing"] == {}
    other = msgspec.structs.replace(own, id="other", kind="web", pid=child.pid, details={BORN: birth_of(child.pid)})
    with workspace.database.writing() as connection:
        records.save_process(connection, other)
    assert {one.id for one in listed(workspace, me)} == {own.id, "other"}
    child.kill()
    # It is gone for its parent alone, which has not heard of it yet: that is gone, too.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert [one.id for one in listed(workspace, me)] == [own.id]
    child.wait()
    assert [one.id for one in listed(workspace, me)] == [own.id]


def test_only_what_is_known_is_believed(workspace: Workspace, me: Actor) -> None:
    Heartbeat(workspace.database, SystemClock(), "work", "").beat()
    (own,) = listed(workspace, me)
    machine, container, born = own.details[BORN].split("/")
    assert not surely_gone(own)
    # A later process has the same number.
    assert surely_gone(msgspec.structs.replace(own, details={BORN: f"{machine}/{container}/{int(born) + 1}"}))
    # Another machine, or another container of this one, numbers its processes for itself.
    for elsewhere in (f"another/{container}/1", f"{machine}/pid:[1]/1", None):
        assert not surely_gone(msgspec.structs.replace(own, details={BORN: elsewhere}))
    assert not surely_gone(msgspec.structs.replace(own, details={}))
