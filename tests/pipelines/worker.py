"""A worker: `python worker.py ROOT PROJECT_FILE`. It runs what is queued until it is killed or told to end."""

import importlib.util
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType

from opening import OPENER, open_root

from kept.governance.actor import automation
from kept.pipelines.graph import Graph
from kept.pipelines.runner import Runner
from kept.pipelines.step import Step
from kept.tracking.run import Run


def load(path: Path) -> ModuleType:
    """The project file as it is now."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.path.insert(0, str(path.parent))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def building(path: Path) -> Callable[[Run], Graph]:
    """Builds the graph that a project file lists as `STEPS = [dict(...), ...]`."""

    def build(run: Run) -> Graph:
        module = load(path)
        steps = []
        for given in module.STEPS:
            options = dict(given)
            function = getattr(module, options.pop("name"))
            if "timeout" in options:
                options["timeout"] = timedelta(seconds=options["timeout"])
            steps.append(Step(function.__name__, function, **options))
        return Graph(steps, run.request, folder=path.parent, fresh=run.tags.get("fresh") == "yes")

    return build


def main() -> None:
    workspace = open_root(sys.argv[1])
    with Runner(workspace, opener=OPENER, builder=building(Path(sys.argv[2])), actor=automation("worker")) as runner:
        print("ready", flush=True)
        end = workspace.root / "end"
        while not end.exists():
            runner.tick()
            time.sleep(0.05)


if __name__ == "__main__":
    main()
