"""Steps that behave well and badly, and the jobs that have an executor do them."""

import textwrap
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from kept.app.workspace import open_workspace
from kept.governance.actor import automation
from kept.pipelines.codec import Codec
from kept.pipelines.executor import Executor
from kept.pipelines.function_reference import Reference
from kept.pipelines.job import Failure, Job, Outcome, Output, Progress
from kept.settings.settings import Settings

OPENER = "kept.app.workspace:open_root"
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
        child = subprocess.Popen(["sleep", "600"])
        Path(file).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    def spins(file: str):
        Path(file).write_text(f"{os.getpid()} {os.getpid()}")
        while True: pass
    def dirty():
        os.environ["LEFT"] = "behind"
        os.chdir("/")
        sys.path.insert(0, "/nowhere")
        return os.getpid()
    def clean(): return [os.environ.get("LEFT"), os.getcwd() == "/", "/nowhere" in sys.path]
    def odd(): return object()
    def scratch(context):
        (context.scratch / "file").write_text("x")
        return str(context.scratch)
"""


class Jobs:
    """A folder with a workspace and a project of steps, and an executor that does them.

    Args:
        executor: what does the steps; whoever made it closes it.
        folder: where workspace and project are made, or are already.
    """

    def __init__(self, executor: Executor, folder: Path) -> None:
        self.executor = executor
        self.progress: list[Progress] = []
        self._tries = count(1)
        self._workspace = open_workspace(Settings(workspace=str(folder / "workspace")))
        self._runs = self._workspace.root / "runs"
        self._project = folder / "project"
        self._project.mkdir(exist_ok=True)
        (self._project / "steps.py").write_text(textwrap.dedent(STEPS))
        self.write_helper(1)

    def write_helper(self, value: int) -> None:
        """Edits the file that the step `helped` imports."""
        (self._project / "helper.py").write_text(f"VALUE = {value}\n")

    def job(self, step: str, timeout: float | None = None, **values: Any) -> Job:
        """One try of a step with these values for its parameters."""
        file = self._project / "steps.py"
        return Job(
            run_id="run-1",
            project="flights",
            step=step,
            attempt=1,
            seed=7,
            function=Reference(module="steps", qualname=step, file=str(file), folder=str(self._project)),
            outputs={},
            values=values,
            takes_context=step in {"told", "scratch"},
            opener=OPENER,
            root=str(self._workspace.root),
            actor=automation("worker"),
            log=str(self._runs / f"{step}.log"),
            scratch=str(self._runs / f"{step}-{next(self._tries)}.scratch"),
            timeout=timeout,
        )

    def run(self, step: str, cancelled: threading.Event | None = None, **more: Any) -> Outcome:
        """What becomes of the step."""
        return self.executor.run(self.job(step, **more), self.progress.append, cancelled or threading.Event())

    def value(self, step: str, **more: Any) -> Any:
        """What the step returns; an `AssertionError` when it fails."""
        outcome = self.run(step, **more)
        assert isinstance(outcome, Output), outcome
        return Codec(self._workspace.blobs, self._project).load(outcome.digest, Any, where=step)

    def failure(self, step: str, **more: Any) -> Failure:
        """Why the step fails; an `AssertionError` when it does not."""
        outcome = self.run(step, **more)
        assert isinstance(outcome, Failure), outcome
        return outcome

    def log(self, step: str) -> str:
        """What the step has printed."""
        return Path(self.job(step).log).read_text()


def alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def pids(file: Path) -> list[int]:
    """The processes that the steps `sleeps` and `spins` write down when they have begun."""
    until(lambda: file.exists() and len(file.read_text().split()) == 2)
    return [int(text) for text in file.read_text().split()]


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for it; an `AssertionError` when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
