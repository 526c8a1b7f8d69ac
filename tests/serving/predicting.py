"""A real prediction service in a process of its own, and models for it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import numpy as np
import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kept.deployment.routing import Arm, Role, Route, RoutingTable
from kept.packaging.build import package
from kept.packaging.bundle import store_bundle
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature
from kept.packaging.signature import Label, Task
from kept.store.blobs import FolderBlobs

# One for all: to make a client takes twenty times as long as to ask. It keeps no connection to services that have ended.
CLIENT = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
ROW = {"distance": 700.0, "hour": 8, "carrier": "AA", "express": True}
ARRIVES = "service answers at "


def flights(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "distance": rng.uniform(100, 3000, rows),
            "hour": rng.integers(0, 24, rows),
            "carrier": rng.choice(["AA", "B6", "UA"], rows),
            "express": rng.random(rows) < 0.5,
            "wind": rng.normal(10, 3, rows),
        }
    )


@dataclass(frozen=True)
class Packaged:
    folder: Path
    columns: list[str]
    expected: Callable[[pl.DataFrame], np.ndarray]


def make(to: Path, kind: str) -> Packaged:
    frame = flights()
    numbers = ["distance", "wind"]
    late = (frame["hour"] / 24 + frame["distance"] / 3000 + np.random.default_rng(2).normal(0, 0.3, frame.height)) > 1
    columns, task = [*ROW], "binary"
    classes: list[Label] = [False, True]
    if kind == "wider":
        columns = [*ROW, "wind"]
    if kind in {"bayes", "bayes again", "texts"}:
        return make_unexported(to, kind, frame, late)
    if kind in {"regression", "multiclass"}:
        columns, task, classes = numbers, kind, ["early", "late", "on time"] if kind == "multiclass" else []
    encoder = fit_encoder(frame, columns)
    matrix = encode_frame(frame, encoder)
    if kind == "regression":
        estimator = LinearRegression().fit(matrix, frame["hour"])
    elif kind == "multiclass":
        estimator = LogisticRegression().fit(matrix / 1000, np.array(classes)[frame["hour"].to_numpy() % 3])
    else:
        estimator = HistGradientBoostingClassifier(
            max_iter={"first": 5, "second": 9, "wider": 7}[kind], categorical_features=encoder.categorical
        ).fit(matrix, late)
    signature = infer_signature(frame, columns, task=msgspec.convert(task, Task), classes=classes)
    package(estimator, encoder, signature, frame.head(100), to, latency_runs=20)

    def expected(rows: pl.DataFrame) -> np.ndarray:
        given = encode_frame(rows, encoder)
        if kind == "regression":
            return np.asarray(estimator.predict(given))
        return (
            np.asarray(estimator.predict_proba(given)) if kind == "multiclass" else estimator.predict_proba(given)[:, 1]
        )

    return Packaged(to, columns, expected)


def make_unexported(to: Path, kind: str, frame: pl.DataFrame, late: pl.Series) -> Packaged:
    """A model that scikit-learn itself has to run: on a matrix, or on a table with text."""
    columns = ["distance", "wind"] if kind != "texts" else ["distance", "carrier"]
    encoder = fit_encoder(frame, columns)
    signature = infer_signature(frame, columns, task="binary", classes=[False, True])
    if kind == "texts":
        parts = [("text", OneHotEncoder(sparse_output=False), ["carrier"]), ("number", "passthrough", ["distance"])]
        pipeline = make_pipeline(ColumnTransformer(parts), NearestCentroid()).fit(frame.select(columns), late)
        manifest = package(pipeline, None, signature, frame.head(100), to, latency_runs=20)
        expected = lambda rows: np.asarray(pipeline.predict_proba(rows.select(columns))[:, 1])  # noqa: E731
    else:
        matrix = encode_frame(frame, encoder)
        estimator = NearestCentroid(shrink_threshold=None if kind == "bayes" else 0.5).fit(matrix, late)
        manifest = package(estimator, encoder, signature, frame.head(100), to, latency_runs=20)
        expected = lambda rows: np.asarray(estimator.predict_proba(encode_frame(rows, encoder))[:, 1])  # noqa: E731
    assert manifest.runtime == "skops"
    return Packaged(to, columns, expected)


@dataclass
class Service:
    """A real service in a process of its own, whose routing table is a file."""

    root: Path
    packaged: dict[str, Packaged]
    token: str = ""
    process: subprocess.Popen[str] | None = None
    url: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        blobs = FolderBlobs(self.root / "blobs")
        self.digests = {kind: store_bundle(made.folder, blobs) for kind, made in self.packaged.items()}

    def arm(self, kind: str, number: int, role: Role = "champion", weight: float = 1.0) -> Arm:
        return Arm(
            version_id=f"v-{kind}", number=number, model="late", bundle=self.digests[kind], role=role, weight=weight
        )

    def route(self, **endpoints: tuple[Arm, ...]) -> int:
        """Writes the table; the service finds it at its next look."""
        self.revision += 1
        routes = tuple(Route(endpoint=name, arms=arms, revision=self.revision) for name, arms in endpoints.items())
        table = self.root / "table.json"
        fresh = table.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(RoutingTable(revision=self.revision, routes=routes)))
        fresh.replace(table)
        return self.revision

    def start(self, *arguments: str) -> "Service":
        script = Path(__file__).with_name("serve_process.py")
        command = [*self.prefix, sys.executable, str(script), str(self.root), *(arguments or (self.token,))]
        more = {f"KEPT_{name.upper()}": value for name, value in self.settings.items()}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | more)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(ARRIVES), line
        self.url = line.removeprefix(ARRIVES).strip()
        until(lambda: "being loaded" not in CLIENT.get(f"{self.url}/v2/health/ready").text)
        return self

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def children(self) -> list[int]:
        """The processes that it has started, oldest first."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    state, parent = (entry / "stat").read_text().rsplit(") ", 1)[1].split()[:2]
                    if int(parent) == self.pid and state != "Z":
                        found.append(int(entry.name))
        return sorted(found)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        """Asks it to end, and gives its exit code."""
        assert self.process is not None
        self.process.terminate()
        self.process.communicate(timeout=60)
        return self.process.returncode

    def wait_for_revision(self, revision: int) -> None:
        line = f"kept_routing_revision {float(revision)}"
        until(lambda: line in CLIENT.get(f"{self.url}/metrics").text)


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    """Returns when it is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)
