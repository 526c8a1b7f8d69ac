from collections.abc import Iterator
from pathlib import Path

import pytest
from predicting import Packaged, Service, make


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packaged]:
    root = tmp_path_factory.mktemp("bundles")
    return {kind: make(root / kind, kind) for kind in ("first", "second", "wider", "regression", "multiclass")}


@pytest.fixture
def service(tmp_path: Path, packaged: dict[str, Packaged]) -> Iterator[Service]:
    made = Service(tmp_path, packaged)
    made.route(late=(made.arm("first", 1),))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, packaged: dict[str, Packaged]) -> Iterator[Service]:
    """One service for the tests that change nothing."""
    made = Service(tmp_path_factory.mktemp("running"), packaged)
    made.route(
        late=(made.arm("first", 1),),
        hours=(made.arm("regression", 2),),
        kinds=(made.arm("multiclass", 3),),
        trial=(made.arm("first", 1, weight=0.75), made.arm("second", 2, "canary", 0.25)),
        wider=(made.arm("first", 1, weight=0.5), made.arm("wider", 2, "canary", 0.5)),
        watched=(made.arm("first", 1), made.arm("wider", 2, "shadow", 0.0)),
    )
    yield made.start()
    assert made.stop() == 0


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The interpreter of the environment in which the protocol's public client stands as it is published."""
    environment = Path(__file__).parents[2] / ".venv-triton"
    if not (environment / ".ready").exists():
        pytest.skip("the environment of tritonclient was not made: run make .venv-triton/.ready")
    return environment / "bin" / "python"
