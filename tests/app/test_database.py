import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from kept.app.workspace import open_workspace
from kept.governance.actor import Actor
from kept.settings.settings import load_settings
from kept.store.schema import points
from kept.tracking.experiments import create_experiment, search_experiments
from kept.tracking.requests import CreateExperiment, SearchExperiments
from postgres_server import Server

_LOG = """
import sys
from pathlib import Path
from kept.app.workspace import open_workspace
from kept.governance.actor import owner
from kept.settings.settings import load_settings
from kept.tracking.points import Point
from kept.tracking.recording import create_logged_run, log_run
from kept.tracking.requests import CreateRun, LogRun

workspace, me = open_workspace(load_settings(Path.cwd())), owner("ada", "python")
run = create_logged_run(workspace, me, CreateRun(experiment="0", name=sys.argv[1]))
for at in range(40):
    log_run(workspace, me, LogRun(run=run.id, metrics=[Point(name="loss", value=at, at=at)]))
"""


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with postgres.fresh() as made:
        yield made


def test_the_settings_choose_the_database(tmp_path: Path, url: str, me: Actor) -> None:
    settings = load_settings(tmp_path, {"KEPT_DATABASE": url}, workspace=str(tmp_path / "kept"))
    create_experiment(open_workspace(settings), me, CreateExperiment(name="churn"))
    found = search_experiments(open_workspace(settings), me, SearchExperiments())
    assert [experiment.name for experiment in found.experiments] == ["churn", "Default"]
    assert not (tmp_path / "kept" / "kept.db").exists()


def test_many_processes_log_at_once_and_no_point_is_lost(tmp_path: Path, url: str) -> None:
    environment = {**os.environ, "KEPT_DATABASE": url}
    settings = load_settings(tmp_path, environment, workspace=str(tmp_path / ".kept"))
    workspace = open_workspace(settings)
    writers = [
        subprocess.Popen([sys.executable, "-c", _LOG, f"writer {number}"], env=environment, cwd=tmp_path)
        for number in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    with workspace.database.reading() as connection:
        assert len(connection.execute(select(points)).all()) == 160
