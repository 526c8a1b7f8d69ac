import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bringing import Bring, Serve

from kept.app.importing.moving import Import
from kept.app.importing.opening import Options, open_source
from kept.app.importing.report import Findings, ImportReport
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiments import ensure_default_experiment
from waiting import free_ports, wait_until_ready


@pytest.fixture
def bring(workspace: Workspace, me: Actor) -> Bring:
    """Imports a source into the workspace and gives the report."""
    ensure_default_experiment(workspace)

    def import_(
        address: str | Path,
        artifacts: list[Path] | None = None,
        part: str = "",
        *,
        rehearse: bool = False,
        thorough: bool = False,
    ) -> ImportReport:
        findings = Findings()
        given = Options(artifacts=[str(one) for one in artifacts or []], part=part)
        source = open_source(str(address), given, findings, {"MLFLOW_TRACKING_TOKEN": "secret"})
        try:
            return Import(source, workspace, me, findings, rehearse=rehearse, thorough=thorough).run()
        finally:
            source.close()

    return import_


@contextmanager
def _serving(root: Path) -> Iterator[str]:
    port = free_ports()
    address = f"http://127.0.0.1:{port}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEPT_")}
    log = root.with_suffix(".log")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "kept", "web", "--workspace", str(root), "--port", str(port)],
            stdout=stream,
            stderr=stream,
            env={**kept, "KEPT_ACTOR": "ada"},
        )
    try:
        wait_until_ready(process, f"{address}/api/v1/health/ready", log)
        yield address
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def serve() -> Serve:
    """`kept web` on a workspace: a context with its address."""
    return _serving
