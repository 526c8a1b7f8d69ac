"""The whole comparison: each piece of work on both servers, one after the other, and whether both tell the same."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import filling
import reading
import writing
from figures import Figure
from servers import Server
from wire import Api

_CLIENT_RUNS = 15
_REST = 2.0
_FLAT = 48.0


@dataclass(frozen=True)
class Sizes:
    """How much there is to do."""

    runs: int
    points: int
    file_mb: int
    seconds: float

    def with_runs(self, runs: int) -> Self:
        """The same with another number of runs."""
        return replace(self, runs=runs)

    def told(self) -> dict[str, Any]:
        """All of it, for programs."""
        return asdict(self)


class Comparison:
    """Measures Kept and MLflow. The one that is not measured stands idle."""

    def __init__(
        self, kept: Server, mlflow: Server, environment: Path, folder: Path, sizes: Sizes, tell: Callable[[str], None]
    ) -> None:
        self.figures: list[Figure] = []
        self.different: list[str] = []
        self._servers = (kept, mlflow)
        self._environment = environment
        self._folder = folder
        self._sizes = sizes
        self._tell = tell

    def run(self) -> None:
        """All of it, in order; the servers are left running."""
        started = [self._start(server) for server in self._servers]
        self._apis = [Api(server.address) for server in self._servers]
        self._experiments = [api.experiment("logged") for api in self._apis]
        self._log_points()
        self._log_batches()
        self._log_with_client()
        self._search()
        self._points()
        self._move_file()
        (kept_ready, kept_memory), (ready, memory) = started
        self._add("ready from cold", "s", kept_ready, ready, limit=2)
        self._add("idle memory of all processes", "MB", kept_memory, memory, limit=200)

    def _start(self, server: Server) -> tuple[float, float]:
        """Seconds to ready over a database that is there, and MB when it has nothing to do."""
        self._tell(f"Starting {server.name}, twice: the first time makes its database.")
        server.start()
        server.stop()
        server.start()
        Api(server.address).post("experiments/search", {"max_results": 10})
        time.sleep(_REST)
        return server.seconds_to_ready, server.memory()

    def _log_points(self) -> None:
        for clients in (1, 8):
            self._tell(f"Logging single points, {clients} at a time.")
            who = "one client" if clients == 1 else f"{clients} clients"
            (kept, kept_late, kept_whole), (mlflow, late, whole) = [
                writing.log_points(server, experiment, clients, self._sizes.seconds)
                for server, experiment in zip(self._servers, self._experiments, strict=True)
            ]
            self._check(f"points of {who}", kept_whole, whole)
            self._add(f"log_metric, {who}", "calls/s", kept, mlflow, more_is_better=True, times=10)
            if clients > 1:
                self._add(f"log_metric, {who}, 99th percentile", "ms", kept_late, late, times=10)

    def _log_batches(self) -> None:
        self._tell("Logging points by the thousand.")
        (kept, kept_whole), (mlflow, whole) = [
            writing.log_batches(server, experiment, self._sizes.seconds)
            for server, experiment in zip(self._servers, self._experiments, strict=True)
        ]
        self._check("points of batches", kept_whole, whole)
        self._add("log_batch of 1,000 metrics", "points/s", kept, mlflow, more_is_better=True, times=10)

    def _log_with_client(self) -> None:
        self._tell("Logging runs with MLflow's client.")
        (kept, kept_told), (mlflow, told) = [
            writing.log_with_client(server, self._environment, self._folder, _CLIENT_RUNS) for server in self._servers
        ]
        self._check("runs of the client", kept_told == told, len(told["params"]) == len(told["metrics"]) == 10)
        self._add("run of 10 params, 10 metrics by the client", "ms", kept, mlflow, times=5)

    def _search(self) -> None:
        self._tell(f"Filling in {self._sizes.runs:,} runs.")
        filled = [api.experiment("searched") for api in self._apis]
        filling.fill_kept(self._servers[0], filled[0], self._sizes.runs)
        filling.fill_mlflow(self._servers[1], filled[1], self._sizes.runs)
        limits = dict(zip(reading.SEARCHES, (50, 200, 50, 200), strict=True))
        for work, asked in reading.SEARCHES.items():
            self._tell(f"{work[0].upper()}{work[1:]}.")
            (kept, kept_found), (mlflow, found) = [
                reading.search(api, experiment, asked) for api, experiment in zip(self._apis, filled, strict=True)
            ]
            self._check(work, kept_found == found, bool(found))
            self._add(work, "ms", kept, mlflow, limit=limits[work])
        beside = {"filter": "metrics.loss < 0.5", "order_by": ["metrics.loss ASC"], "max_results": 100}
        kept, mlflow = [
            reading.search(api, experiment, beside)[0]
            for api, experiment in zip(self._apis, self._experiments, strict=True)
        ]
        self._add("the first in a small experiment beside it", "ms", kept, mlflow, limit=50)

    def _points(self) -> None:
        self._tell(f"Filling in {self._sizes.points:,} points.")
        runs = [
            filling.make_runs(api, experiment, self._sizes.points)
            for api, experiment in zip(self._apis, self._experiments, strict=True)
        ]
        before = [server.stored() for server in self._servers]
        filling.points_kept(self._servers[0], runs[0])
        filling.points_mlflow(self._servers[1], runs[1])
        after = [server.stored() for server in self._servers]
        count = len(runs[0]) * filling.HISTORY
        (kept, kept_points), (mlflow, points) = [
            reading.read_history(api, some[0]) for api, some in zip(self._apis, runs, strict=True)
        ]
        self._check("history", kept_points == points, len(points) == filling.HISTORY)
        self._add("history of a metric of 100,000 points", "s", kept, mlflow, times=10)
        kept, mlflow = ((last - first) / count for first, last in zip(before, after, strict=True))
        self._add(f"bytes of a metric point, of {count:,}", "bytes", kept, mlflow, times=3)

    def _move_file(self) -> None:
        self._tell(f"Moving a file of {self._sizes.file_mb:,} MB.")
        moved = []
        for server, api, experiment in zip(self._servers, self._apis, self._experiments, strict=True):
            path = f"{experiment}/{api.run(experiment, 'file')}/artifacts/file.bin"
            moved.append(reading.move_file(server, api, path, self._sizes.file_mb << 20))
        (kept_up, kept_down, kept_grown, kept_same), (up, down, grown, same) = moved
        self._check("the file", kept_same, same)
        self._add("file up through the proxy", "MB/s", kept_up, up, more_is_better=True, times=1)
        self._add("file down through the proxy", "MB/s", kept_down, down, more_is_better=True, times=1)
        self._add("memory that the file took of the server", "MB", kept_grown, grown, limit=_FLAT)

    def _add(self, work: str, unit: str, kept: float, mlflow: float, **more: Any) -> None:
        self.figures.append(Figure(work, unit, kept, mlflow, **more))

    def _check(self, what: str, *holds: bool) -> None:
        if not all(holds):
            self.different.append(what)
