import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opening import OPENER

from conftest import HERE, until
from kept.core.errors import CheckFailed
from kept.governance.actor import automation
from kept.governance.workspace import Workspace
from kept.pipelines.codec import Codec
from kept.pipelines.executor import ProcessExecutor
from kept.pipelines.job import Cause, Failure, Job, Outcome, Output, Progress
from kept.pipelines.reference import Reference

STEPS = """
    import ctypes, os, random, resource, signal, subprocess, sys, time
    from pathlib import Path
    import helper
    from kept.core.errors import CheckFailed

    def pid(): return os.getpid()
    def add(one: int, two: float = 1.5) -> float: return one + two
    def helped(): return helper.VALUE
    def drawn(): return random.random()
    def hashed(): return hash("a")
    def told(context):
        for number in range(5):
            context.progress(number + 1, 5, f"row {number}")
        context.log("a line")
        os.system("echo from a child process")
        print("an error", file=sys.stderr)
        return [context.run_id, context.project, context.step, context.attempt, context.seed, context.actor.name,
                context.workspace.root.name, context.scratch.is_dir()]
    def raises(): raise ValueError("no such month")
    def checks(): raise CheckFailed("AUC is 0.5", where="gate", fix="Train better")
    def exits(): sys.exit(3)
    def leaves(): os._exit(7)
    def killed(): os.kill(os.getpid(), signal.SIGKILL)
    def crashes(): ctypes.string_at(0)
    def hungry():
        resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
        return len(bytearray(3_000_000_000))
    def sleeps(file: str):
        child = subprocess.Popen(["sleep", "60"])
        Path(file).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(60)
    def spins(file: str):
        Path(file).write_text(f"{os.getpid()} {os.getpid()}")
        while True: pass
    def dirty():
        os.environ["LEFT"] = "behind"
        os.chdir("/")
        sys.path.insert(0, "/nowhere")
        return os.getpid()
    def clean(): return [os.getpid(), os.environ.get("LEFT"), os.getcwd() == "/", "/nowhere" in sys.path]
    def odd(): return object()
    def scratch(context):
        (context.scratch / "file").write_text("x")
        return str(context.scratch)
"""


class Kit:
    """What every executor must do, as a user of one sees it."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder
        self.executor = ProcessExecutor(2)
        folder.mkdir()
        (folder / "steps.py").write_text(textwrap.dedent(STEPS))
        (folder / "helper.py").write_text("VALUE = 1\n")
        self.progress: list[Progress] = []

    def job(self, function: str, timeout: float | None = None, **values: Any) -> Job:
        runs = self.workspace.root / "runs"
        return Job(
            run_id="run-1",
            project="flights",
            step=function,
            attempt=1,
            seed=7,
            function=Reference(
                module="steps", qualname=function, file=str(self.folder / "steps.py"), folder=str(self.folder)
            ),
            outputs={},
            values=values,
            takes_context=function in {"told", "scratch"},
            opener=OPENER,
            root=str(self.workspace.root),
            actor=automation("worker"),
            log=str(runs / f"{function}.log"),
            scratch=str(runs / f"{function}.scratch"),
            timeout=timeout,
        )

    def run(self, function: str, cancelled: threading.Event | None = None, **more: Any) -> Outcome:
        return self.executor.run(self.job(function, **more), self.progress.append, cancelled or threading.Event())

    def value(self, function: str, **more: Any) -> Any:
        outcome = self.run(function, **more)
        assert isinstance(outcome, Output), outcome
        return Codec(self.workspace.blobs, self.folder).load(outcome.digest, Any, where="test")

    def failure(self, function: str, **more: Any) -> Failure:
        outcome = self.run(function, **more)
        assert isinstance(outcome, Failure), outcome
        return outcome

    def log(self, function: str) -> str:
        return (self.workspace.root / "runs" / f"{function}.log").read_text()


@pytest.fixture
def kit(workspace: Workspace, tmp_path: Path) -> Iterator[Kit]:
    kit = Kit(workspace, tmp_path / "project")
    yield kit
    kit.executor.close()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _pids(file: Path) -> list[int]:
    until(lambda: file.exists() and len(file.read_text().split()) == 2)
    return [int(text) for text in file.read_text().split()]


def test_a_step_runs_elsewhere_with_its_parameters(kit: Kit) -> None:
    assert kit.value("pid") != os.getpid()
    assert kit.value("add", one=1) == 2.5
    assert kit.value("add", one=1, two=2) == 3
    assert "parameter 'one'" in str(kit.failure("add", one="much").raised())


def test_what_it_prints_and_how_far_it_is_comes_through(kit: Kit) -> None:
    value = kit.value("told")
    assert value == ["run-1", "flights", "told", 1, 7, "worker", "workspace", True]
    assert kit.progress[0] == Progress()
    assert kit.progress[1] == Progress(done=1, total=5, text="row 0")
    assert kit.progress[-1] == Progress(done=5, total=5, text="row 4")
    assert kit.log("told") == "a line\nfrom a child process\nan error\n"


def test_errors_come_back_as_what_they_are(kit: Kit) -> None:
    failure = kit.failure("raises")
    assert (failure.cause, failure.what) == (Cause.RAISED, "ValueError: no such month")
    assert failure.may_pass
    log = kit.log("raises")
    assert 'raise ValueError("no such month")' in log
    assert "work.py" not in log
    failure = kit.failure("checks")
    error = failure.raised()
    assert isinstance(error, CheckFailed)
    assert str(error) == "gate: AUC is 0.5. Train better"
    assert not failure.may_pass
    assert kit.failure("exits").what == "SystemExit: 3"
    assert "can not be kept" in kit.failure("odd").what


def test_a_dead_process_fails_its_step_only(kit: Kit) -> None:
    assert kit.failure("killed").what == ("its process was killed, most likely because the machine ran out of memory")
    assert "exit code 7" in kit.failure("leaves").what
    assert "SIGSEGV" in kit.failure("crashes").what
    assert kit.value("add", one=1) == 2.5


def test_a_step_that_runs_out_of_memory_says_so(kit: Kit) -> None:
    failure = kit.failure("hungry")
    assert (failure.cause, failure.what) == (Cause.MEMORY, "it ran out of memory")
    assert failure.may_pass
    # The limit went away with the process.
    assert kit.value("add", one=1) == 2.5


@pytest.mark.parametrize("function", ["sleeps", "spins"])
def test_a_timeout_ends_it_and_what_it_started(kit: Kit, tmp_path: Path, function: str) -> None:
    file = tmp_path / "pids"
    begun = time.monotonic()
    failure = kit.failure(function, timeout=1.2, file=str(file))
    assert failure.cause is Cause.TIMEOUT
    assert "longer than 1.2 s" in failure.what
    assert time.monotonic() - begun < 2.5
    until(lambda: not any(map(_alive, _pids(file))), 2)


def test_cancelling_ends_it_within_half_a_second(kit: Kit, tmp_path: Path) -> None:
    file, cancelled = tmp_path / "pids", threading.Event()
    ended: list[tuple[float, Outcome]] = []
    thread = threading.Thread(
        target=lambda: ended.append((0, kit.run("sleeps", cancelled, file=str(file)))), daemon=True
    )
    thread.start()
    pids = _pids(file)
    begun = time.monotonic()
    cancelled.set()
    thread.join(5)
    assert time.monotonic() - begun < 0.5
    assert isinstance(ended[0][1], Failure)
    assert ended[0][1].cause is Cause.CANCELLED
    until(lambda: not any(map(_alive, pids)), 2)


def test_only_so_many_run_at_once_and_waiting_ones_can_be_cancelled(kit: Kit, tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    events = [threading.Event(), threading.Event(), threading.Event()]
    outcomes: dict[int, Outcome] = {}

    def run(number: int) -> None:
        outcomes[number] = kit.run("sleeps", events[number], file=str(tmp_path / ["one", "two", "three"][number]))

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(3)]
    for thread in threads[:2]:
        thread.start()
    for file in files:
        _pids(file)
    threads[2].start()
    time.sleep(0.3)
    events[2].set()
    threads[2].join(2)
    assert isinstance(outcomes[2], Failure)
    assert not (tmp_path / "three").exists()
    kit.executor.close()
    for thread in threads:
        thread.join(2)
    assert all(isinstance(outcomes[number], Failure) for number in range(3))
    assert not any(_alive(pid) for file in files for pid in _pids(file))
    assert kit.failure("pid").cause is Cause.CANCELLED


def test_processes_are_warm_but_nothing_is_left_behind(kit: Kit) -> None:
    pid = kit.value("dirty")
    assert kit.value("clean") == [pid, None, False, False]
    assert kit.value("helped") == 1
    (kit.folder / "helper.py").write_text("VALUE = 22\n")
    assert kit.value("helped") == 22
    assert kit.value("pid") == pid
    assert not Path(kit.value("scratch")).exists()


def test_chance_is_the_same_in_every_process(kit: Kit, workspace: Workspace, tmp_path: Path) -> None:
    first = [kit.value("drawn"), kit.value("hashed")]
    other = Kit(workspace, tmp_path / "other")
    try:
        assert [other.value("drawn"), other.value("hashed")] == first
    finally:
        other.executor.close()


def test_idle_processes_end(workspace: Workspace, tmp_path: Path) -> None:
    kit = Kit(workspace, tmp_path / "project")
    kit.executor = ProcessExecutor(1, idle_seconds=0.2)
    pid = kit.value("pid")
    assert kit.executor.processes() == [pid]
    until(lambda: not _alive(pid), 3)
    assert kit.executor.processes() == []
    assert kit.value("pid") != pid
    kit.executor.close()


OWNER = """
import sys, threading
sys.path.insert(0, {here!r})
import msgspec
from kept.pipelines.executor import ProcessExecutor
from kept.pipelines.job import Job
job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
ProcessExecutor(1).run(job, print, threading.Event())
"""


@pytest.mark.parametrize("function", ["sleeps", "spins"])
def test_when_the_owner_is_killed_so_is_the_step(kit: Kit, tmp_path: Path, function: str) -> None:
    import msgspec  # noqa: PLC0415

    file = tmp_path / "pids"
    owner = subprocess.Popen([sys.executable, "-c", OWNER.format(here=str(HERE))], stdin=subprocess.PIPE)
    assert owner.stdin is not None
    with owner.stdin:
        owner.stdin.write(msgspec.json.encode(kit.job(function, file=str(file))))
    pids = _pids(file)
    assert all(map(_alive, pids))
    owner.kill()
    owner.wait()
    until(lambda: not any(map(_alive, pids)), 2)
