"""One workspace with a released model, made once for all processes of the test run; each topic takes a copy."""

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from living import House, first_version

# Making the shared workspace, or a life, counts for the first test that asks for it.
PATIENCE_SECONDS = 500


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives these tests the time that they need where others keep the machine busy."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(PATIENCE_SECONDS))


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of the trains' project, whose first version is released. Copy it, do not change it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "released"
    with (shared / "released.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "released.done").exists():
            first_version(folder)
            (shared / "released.done").touch()
    return folder


@pytest.fixture(scope="module")
def mine(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it for the tests of one file."""
    folder = tmp_path_factory.mktemp("mine") / "trains"
    shutil.copytree(released, folder)
    return folder


@pytest.fixture(scope="module")
def house(mine: Path) -> Iterator[House]:
    """`kept up` in that copy."""
    found = House(mine)
    try:
        yield found.up()
    finally:
        found.stop()
        found.http.close()
