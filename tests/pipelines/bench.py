"""A project in a folder, a workspace, and ways to run one in the other."""

import subprocess
import sys
import textwrap
from pathlib import Path

from opening import OPENER
from worker import building

from kept.governance.actor import automation, owner
from kept.governance.workspace import Workspace
from kept.pipelines.catalog import ListSteps, list_steps
from kept.pipelines.run_step import RunStep
from kept.pipelines.runner import Runner
from kept.tracking.run import Run
from kept.tracking.runs import create_run

HERE = Path(__file__).parent


class Bench:
    """A project and a workspace; what it starts it ends."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder
        self.file = folder / "project.py"
        self._workers: list[subprocess.Popen[bytes]] = []

    def write(self, text: str, name: str = "project.py") -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def queue(self, fresh: bool = False, **request: object) -> Run:
        tags = {"fresh": "yes"} if fresh else {}
        return create_run(
            self.workspace, project="p", kind="training", name="r", created_by="ada", request=request, tags=tags
        )

    def runner(self) -> Runner:
        return Runner(self.workspace, opener=OPENER, builder=building(self.file), actor=automation("worker"))

    def run(self, runner: Runner, fresh: bool = False, **request: object) -> tuple[Run, dict[str, RunStep]]:
        run = self.queue(fresh, **request)
        runner.submit(run)
        return runner.wait(run.id, 120), self.steps(run)

    def steps(self, run: Run) -> dict[str, RunStep]:
        return {step.step: step for step in list_steps(self.workspace, owner("ada", "python"), ListSteps(run=run.id))}

    def worker(self) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), str(self.workspace.root), str(self.file)],
            stdout=subprocess.PIPE,
        )
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
            if worker.stdout:
                worker.stdout.close()
