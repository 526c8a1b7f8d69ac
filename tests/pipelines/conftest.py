import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import HERE, Bench

from kept.governance.workspace import Workspace


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)


@pytest.fixture
def bench(workspace: Workspace, tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "project"
    folder.mkdir()
    made = Bench(workspace, folder)
    yield made
    made.close()
