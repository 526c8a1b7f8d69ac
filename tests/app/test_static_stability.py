"""Web, worker and database killed: predictions go on, are logged, and start from cold; nothing of it is lost or repeated."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from kept.app.workspace import open_workspace
from kept.deployment.endpoint import RouteRecord
from kept.deployment.records import append_route
from kept.deployment.routing import Arm
from kept.packaging.build import package
from kept.packaging.bundle import store_bundle
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature
from kept.settings.settings import Settings
from kept.store.tables import DeltaTables
from postgres_server import running_server
from waiting import free_ports

ROW = {"distance": 700.0}


class Records(Protocol):
    """The database of records, as an accident sees it."""

    url: str

    def kill(self) -> None: ...
    def mend(self) -> None: ...


class File:
    """SQLite: the file is gone, and comes back."""

    url = ""

    def __init__(self, root: Path) -> None:
        self._root = root

    def kill(self) -> None:
        for path in self._root.glob("kept.db*"):
            path.rename(self._root / f"away-{path.name}")

    def mend(self) -> None:
        for path in self._root.glob("kept.db*"):
            path.unlink()
        for path in self._root.glob("away-*"):
            path.rename(self._root / path.name.removeprefix("away-"))


class House:
    """The processes of a workspace, each for itself, and what its predictions answered."""

    def __init__(self, root: Path, records: Records) -> None:
        self.root, self.records = root, records
        self.port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port + 1}"
        self.answered: list[str] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *kinds: str) -> None:
        more = {"KEPT_WORKSPACE": str(self.root), "KEPT_DATABASE": self.records.url, "KEPT_POLL_SECONDS": "0.1"}
        for kind in kinds:
            command = [sys.executable, "-m", "kept", kind]
            if kind != "work":
                command += ["--port", str(self.port)]
            with (self.root.parent / f"{kind}.log").open("ab") as log:
                self._processes[kind] = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | more)

    def kill(self, *kinds: str) -> None:
        for kind in kinds or tuple(self._processes):
            process = self._processes.pop(kind)
            process.send_signal(signal.SIGKILL)
            process.wait()

    def predict(self, times: int = 20) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            for _ in range(times):
                answer = client.post("/predict/late", json={"rows": [ROW]})
                assert answer.status_code == 200, answer.text
                assert answer.headers["content-type"] == "application/json"
                self.answered += [one["id"] for one in answer.json()["predictions"]]

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v2/health/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def shipped(self) -> list[str]:
        tables = DeltaTables(self.root / "tables")
        if tables.version("predictions/late") is None:
            return []
        return sorted(tables.read("predictions/late").collect()["id"])


def until(look: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds"
        time.sleep(0.05)


def release_one(settings: Settings, folder: Path) -> None:
    """Packages a small model and puts it in force at `late`."""
    frame = pl.DataFrame({"distance": [float(number) for number in range(200)]})
    encoder = fit_encoder(frame, ["distance"])
    estimator = HistGradientBoostingClassifier(max_iter=3).fit(encode_frame(frame, encoder), frame["distance"] > 100)
    signature = infer_signature(frame, ["distance"], task="binary", classes=[False, True])
    package(estimator, encoder, signature, frame.head(50), folder)
    workspace = open_workspace(settings)
    arm = Arm(version_id="v1", number=1, model="late", bundle=store_bundle(folder, workspace.blobs))
    record = RouteRecord(
        revision=0, endpoint="late", arms=(arm,), reason="a test", rollout_id=None, set_by="ada",
        at=datetime.now(UTC), event_time=None,
    )  # fmt: skip
    with workspace.database.writing() as connection:
        append_route(connection, record)


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    root = tmp_path / "workspace"
    root.mkdir()
    if request.param == "sqlite":
        yield from _living(House(root, File(root)))
        return
    with running_server() as server, server.fresh() as url:

        class Crashing:
            def __init__(self) -> None:
                self.url = url

            def kill(self) -> None:
                server.crash()

            def mend(self) -> None:
                server.start()

        yield from _living(House(root, Crashing()))


def _living(house: House) -> Iterator[House]:
    release_one(Settings(workspace=str(house.root), database=house.records.url), house.root.parent / "bundle")
    try:
        yield house
    finally:
        house.kill()


def test_predictions_outlive_everything_else(house: House) -> None:
    house.start("web", "work", "serve")
    until(house.is_ready)
    house.predict()
    until(lambda: len(house.shipped()) == len(house.answered))
    house.kill("web", "work")
    house.records.kill()
    house.predict()
    # The next look at the routes fails, and the one after it.
    until(lambda: "kept_routing_source_up 0.0" in httpx.get(f"{house.url}/metrics").text)
    house.predict()
    # From cold, with the blobs away, too.
    house.kill("serve")
    (house.root / "blobs").rename(house.root / "blobs-away")
    house.start("serve")
    until(house.is_ready)
    house.predict()
    # What was answered waits in the spool, and is shipped once when all is well again.
    assert len(house.shipped()) == 20
    shutil.rmtree(house.root / "blobs")
    (house.root / "blobs-away").rename(house.root / "blobs")
    house.records.mend()
    house.start("work")
    until(lambda: len(house.shipped()) >= len(house.answered))
    assert house.shipped() == sorted(house.answered)
    until(lambda: "kept_routing_source_up 1.0" in httpx.get(f"{house.url}/metrics").text)
