"""A command that runs a pipeline itself does not wait for what cannot come."""

from pathlib import Path

import pytest

from kept.app.connection import Embedded
from kept.app.workspace import embedded_actor, open_workspace
from kept.cli.following import follow
from kept.cli.working import at_work
from kept.core.errors import Unavailable
from kept.settings.settings import Settings
from kept.tracking.runs import create_run


def test_who_follows_a_run_is_told_when_pipelines_cannot_be_run_at_all(tmp_path: Path) -> None:
    settings = Settings(workspace=str(tmp_path / "workspace"), poll_seconds=0.01)
    here = Embedded(open_workspace(settings), embedded_actor(settings, "cli"))
    # A folder where the engine has its file.
    (tmp_path / "workspace" / "pipelines.db").mkdir()
    with at_work(here) as work:
        assert work.here
        run = create_run(here.workspace, project="p", kind="training", name="r", created_by="ada")
        with pytest.raises(Unavailable, match="pipelines cannot be run here"):
            follow(here, run.id, work.check, quiet=True)
