"""The whole pipeline in its processes, run again and again: what is known is not done again, what changed is."""

import textwrap
from pathlib import Path

from kept.app.projects import Projects
from kept.app.running import make_runner
from kept.app.workspace import open_workspace
from kept.governance.actor import owner
from kept.pipelines.catalog import ListSteps, failure_of, list_steps
from kept.pipelines.run_step import StepStatus
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.registry.catalog import ListVersions, list_versions
from kept.settings.settings import Settings
from kept.tracking.run import RunStatus
from kept.tracking.runs import ShowRun, create_run, show_run

PROJECT = """
    import numpy as np
    import polars as pl
    from sklearn.linear_model import LogisticRegression

    import kept

    project = kept.Project("p", question="Which?", owner="o", objectives=[kept.at_least("roc_auc", 0.55)])


    @project.dataset(label="y", key="id")
    def rows() -> pl.DataFrame:
        random = np.random.default_rng(0)
        x = random.normal(size=600)
        return pl.DataFrame({"id": range(600), "x": x, "y": random.random(600) < 1 / (1 + np.exp(-2 * x))})


    @project.model(task="binary")
    def line(C: float = 1.0) -> LogisticRegression:
        return LogisticRegression(C=C)


    project.split(kept.at_random())
"""
ANEW = {"ingest", "champion", "register"}


def test_what_is_known_is_not_done_again_and_what_changed_is(tmp_path: Path) -> None:
    workspace = open_workspace(Settings(workspace=str(tmp_path / "workspace")))
    me = owner("ada", "python")
    source = tmp_path / "again_project.py"
    projects = Projects(workspace)

    def declare(text: str) -> None:
        source.write_text(textwrap.dedent(text))
        ensure_registered(workspace, me, load_project(source), source)

    def run() -> tuple[set[str], dict[str, float | None]]:
        """The steps that were run, and the metrics."""
        made = create_run(workspace, project="p", kind="training", name="again", created_by="ada")
        runner.submit(made)
        assert runner.wait(made.id, 60).status is RunStatus.FINISHED, failure_of(workspace, made.id)
        steps = list_steps(workspace, me, ListSteps(run=made.id))
        ran = {step.step for step in steps if step.status is StepStatus.FINISHED}
        return ran, show_run(workspace, me, ShowRun(run=made.id)).metrics

    declare(PROJECT)
    with make_runner(workspace, projects) as runner:
        first, metrics = run()
        assert len(first) == 14
        assert metrics["test_roc_auc"]
        again, known = run()
        assert again == ANEW
        assert known == metrics
        declare(PROJECT.replace("0.55", "0.99"))
        stricter, _ = run()
        assert stricter == ANEW | {"evaluate", "judge"}
    versions = list_versions(workspace, me, ListVersions(model="p"))
    assert [one.status for one in versions] == ["rejected", "accepted", "accepted"]
