from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import ADDRESS, Ask
from litestar import Litestar
from litestar.testing import TestClient
from running import serving

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiments import ensure_default_experiment
from kept.web.site import make_site


@pytest.fixture
def client(workspace: Workspace, me: Actor) -> Iterator[TestClient[Litestar]]:
    """The site of an empty workspace."""
    ensure_default_experiment(workspace)
    with TestClient(make_site(workspace, me), base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def ask(client: TestClient[Litestar]) -> Ask:
    """Asks an endpoint and gives what it answers; `fails` is the status and the code that are expected instead."""

    def asking(
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        fails: tuple[int, str] | None = None,
        root: str = "/api/2.0/mlflow/",
        **params: Any,
    ) -> Any:
        answer = client.request(method, root + path, json=body, params=params or None)
        said = answer.json()
        if fails is None:
            assert answer.status_code == 200, said
            return said
        assert (answer.status_code, said["error_code"]) == fails, said
        return said["message"]

    return asking


@pytest.fixture
def run(ask: Ask) -> str:
    """The id of a run of experiment 0."""
    made = ask("POST", "runs/create", {"experiment_id": "0", "start_time": 1_700_000_000_000, "user_id": "ada"})
    return str(made["run"]["info"]["run_id"])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a `kept web` process. Its webhooks may go to this machine."""
    told = {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    with serving(tmp_path_factory.mktemp("served"), **told) as (address, _):
        yield address


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The interpreter of the environment in which MLflow's client stands as it is published."""
    environment = Path(__file__).parents[2] / ".venv-mlflow"
    if not (environment / ".ready").exists():
        pytest.skip("the environment of the MLflow client was not made: run make .venv-mlflow/.ready")
    return environment / "bin" / "python"
