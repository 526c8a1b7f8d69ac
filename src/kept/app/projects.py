"""The projects of a workspace, loaded from the files that their owner registered; loaded anew when a file changes."""

import sys
from pathlib import Path

from kept.core.errors import NotFound
from kept.governance.workspace import Workspace
from kept.pipelines.graph import Graph
from kept.plan.loading import load_project
from kept.plan.project import Project
from kept.plan.records import find_project
from kept.tracking.run import Run


class Projects:
    """Loads projects by name."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._seen: dict[Path, float] = {}

    def graph(self, run: Run) -> Graph:
        """The graph of a training run."""
        # scikit-learn and Optuna come with it: only a run needs them.
        from kept.app.pipeline import training_graph  # noqa: PLC0415

        project, source = self.load(run.project)
        return training_graph(project, source, run)

    def load(self, name: str) -> tuple[Project, Path]:
        """The project as its file stands now, and the file."""
        with self._workspace.database.reading() as connection:
            record = find_project(connection, name)
        if record is None:
            fix = "Register it by running: kept run"
            raise NotFound(f"there is no project {name}", where=str(self._workspace.root), fix=fix)
        source = Path(record.source)
        self._forget_changed(source.parent)
        return load_project(source), source

    def _forget_changed(self, folder: Path) -> None:
        """Drops the modules of a project's folder when one of its files is newer than what was loaded."""
        newest = max((path.stat().st_mtime for path in folder.glob("*.py")), default=0.0)
        if self._seen.get(folder, newest) != newest:
            for name, module in list(sys.modules.items()):
                if Path(getattr(module, "__file__", None) or "/").parent == folder:
                    del sys.modules[name]
        self._seen[folder] = newest
