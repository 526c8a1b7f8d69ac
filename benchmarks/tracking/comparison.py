"""The whole comparison: each piece of work on both servers, one after the other, and whether both tell the same."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import filling
import reading
import straight
import writing
from figures import Figure
from postgres import learn
from servers import Server, nothing_server
from wire import LONGEST, Api

from kept.store.postgres import PostgresDatabase
from kept.store.sqlite import SqliteDatabase

Measured = TypeVar("Measured")

_CLIENT_RUNS = 8
_REST = 2.0
_FLAT = 48.0
_NAMES = 12_000
_LIMITS = dict(zip(reading.SEARCHES, (50, 200, 50, 200), strict=True))


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
    """Measures Kept and MLflow, and Kept on PostgreSQL where it is given. What is not measured stands idle."""

    def __init__(
        self,
        kept: Server,
        mlflow: Server,
        environment: Path,
        folder: Path,
        sizes: Sizes,
        tell: Callable[[str], None],
        postgres: tuple[str, Server] | tuple[None, None],
    ) -> None:
        self.figures: list[Figure] = []
        self.different: list[str] = []
        self.notes: list[str] = []
        self._servers = (kept, mlflow)
        self._environment = environment
        self._folder = folder
        self._sizes = sizes
        self._tell = tell
        # The address of the database, and the server on it.
        self._postgres: str | None = postgres[0]
        self._third: Server | None = postgres[1]

    def run(self) -> None:
        """All of it, in order; the servers are left running."""
        started = [self._start(server) for server in self._servers]
        servers = [*self._servers, *([] if self._third is None else [self._third])]
        if self._third is None:
            self._tell("PostgreSQL is not installed: its column is left out.")
        else:
            self._third.start()
        self._apis = [Api(server.address) for server in servers]
        self._experiments = [api.experiment("logged") for api in self._apis]
        self._log_points()
        self._log_batches()
        self._log_with_client()
        self._search()
        self._search_wide()
        if self._third is not None:
            self._third.stop()
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

    def _in_turns(self, measure: Callable[[int], Measured], turns: int = 2) -> tuple[list[Measured], list[Measured]]:
        """Kept's figures and MLflow's, measured in turns: what else the machine does falls on both."""
        found: tuple[list[Measured], list[Measured]] = ([], [])
        for _ in range(turns):
            for place, several in enumerate(found):
                several.append(measure(place))
        return found

    def _log_points(self) -> None:
        for clients in (1, 8):
            self._tell(f"Logging single points, {clients} at a time.")
            who = "one client" if clients == 1 else f"{clients} clients"
            kept, mlflow = (
                writing.best_of(some)
                for some in self._in_turns(
                    lambda place, clients=clients: self._log(self._servers[place], place, clients)  # type: ignore[misc]
                )
            )
            third = self._on_postgres(lambda server, clients=clients: self._log(server, 2, clients))  # type: ignore[misc]
            self._check(f"points of {who}", kept.whole, mlflow.whole, third is None or third.whole)
            rate, late = (None, None) if third is None else (third.rate, third.late)
            work = f"log_metric, {who}"
            self._add(work, "calls/s", kept.rate, mlflow.rate, more_is_better=True, times=10, postgres=rate)
            if clients > 1:
                self._add(f"{work}, 99th percentile", "ms", kept.late, mlflow.late, times=10, postgres=late)

    def _log(self, server: Server, place: int, clients: int) -> writing.Logged:
        return writing.log_points(server, self._experiments[place], clients, self._sizes.seconds)

    def _on_postgres(self, measure: Callable[[Server], Measured]) -> Measured | None:
        return None if self._third is None else measure(self._third)

    def _log_batches(self) -> None:
        self._tell("Logging points by the thousand.")
        kept, mlflow = (
            writing.best_of(some)
            for some in self._in_turns(
                lambda place: writing.log_batches(self._servers[place], self._experiments[place], self._sizes.seconds)
            )
        )
        third = self._on_postgres(lambda server: writing.log_batches(server, self._experiments[2], self._sizes.seconds))
        self._check("points of batches", kept.whole, mlflow.whole, third is None or third.whole)
        rate = None if third is None else third.rate
        work = "log_batch of 1,000 metrics"
        self._add(work, "points/s", kept.rate, mlflow.rate, more_is_better=True, times=10, postgres=rate)

    def _log_with_client(self) -> None:
        self._tell("Logging runs with MLflow's client.")
        together, theirs = self._run_by_client("together")
        work = "run of 10 params, 10 metrics by the client"
        self._add(work, "ms", together.took, theirs.took, times=5)
        with nothing_server(self._folder / "nothing", self._servers[0]) as nothing:
            nothing.start()
            least = min(self._log_runs(nothing, "together").took for _ in range(4))
        self.notes.append(
            f"Of a server that does nothing the client's run takes {least:.2f} ms: {theirs.took / least:.1f}x is the most"
            f" that any server reaches on this machine."
        )
        # Each in a request of its own the client computes longer than Kept answers, which no server can shorten.
        alone, theirs = self._run_by_client("alone")
        work = "the same, each param and metric alone, without what the client computes"
        self._add(work, "ms", alone.waited, theirs.waited, times=5)

    def _run_by_client(self, how: str) -> tuple[writing.ClientRun, writing.ClientRun]:
        """The best of Kept's and of MLflow's."""
        kept, mlflow = self._in_turns(lambda place: self._log_runs(self._servers[place], how), 4)
        told = mlflow[0].logged
        self._check(
            f"runs of the client, logged {how}",
            all(one.logged == told for one in kept + mlflow),
            len(told["params"]) == len(told["metrics"]) == 10,
        )
        best, theirs = (min(some, key=lambda one: one.took) for some in (kept, mlflow))
        return best, theirs

    def _log_runs(self, server: Server, how: str) -> writing.ClientRun:
        return writing.log_with_client(server, self._environment, self._folder, _CLIENT_RUNS, how)

    def _search(self) -> None:
        self._tell(f"Filling in {self._sizes.runs:,} runs.")
        places = self._fill("searched", filling.many_runs(self._sizes.runs))
        for work, asked in reading.SEARCHES.items():
            self._tell(f"Asking for {work}.")
            self._find(work, asked, places, _LIMITS[work])
        beside = {"filter": "metrics.loss < 0.5", "order_by": ["metrics.loss ASC"], "max_results": 100}
        self._find("the first in a small experiment beside it", beside, self._fill("small", filling.many_runs(200)), 50)

    def _search_wide(self) -> None:
        self._tell(f"Filling in {_NAMES:,} names of metrics.")
        narrow, wide = (self._fill(f"{names} names", filling.wide_runs(names)) for names in (12, _NAMES))
        # The same number of values is read: only chance may lie between them.
        slower = []
        for api, few, many in zip(self._apis, narrow, wide, strict=True):
            (before, some), (after, found) = (reading.search(api, one, reading.FIRST_PAGE, 15) for one in (few, many))
            self._check("first pages", bool(some), bool(found))
            slower.append(after / before)
        work = f"first page, {_NAMES:,} names of metrics against 12"
        self._add(work, "x", slower[0], slower[1], limit=1.5, postgres=slower[2] if self._postgres else None)

    def _fill(self, name: str, logged: list[filling.Logged]) -> list[str]:
        """The ids of an experiment on each server, with the same runs."""
        experiments = [api.experiment(name) for api in self._apis]
        straight.fill_kept(SqliteDatabase(self._servers[0].database), int(experiments[0]), logged)
        filling.fill_mlflow(self._servers[1], experiments[1], logged)
        if self._postgres:
            straight.fill_kept(PostgresDatabase(self._postgres), int(experiments[2]), logged)
            learn(self._postgres)
        return experiments

    def _find(self, work: str, asked: dict[str, Any], experiments: list[str], limit: float) -> None:
        answers = [reading.search(self._apis[place], one, asked) for place, one in enumerate(experiments[:2])]
        (kept, found), (mlflow, told) = answers
        if told is None:
            # It goes on with what nobody waits for.
            self._tell(f"MLflow was not waited for longer than {LONGEST:.0f} s; its server is started again.")
            self._servers[1].stop()
            self._servers[1].start()
            self._apis[1] = Api(self._servers[1].address)
        answers += [reading.search(self._apis[2], one, asked) for one in experiments[2:]]
        self._check(work, bool(found), *(one == found for _, one in answers if one is not None))
        postgres = answers[2][0] if self._postgres else None
        self._add(work, "ms", kept, mlflow, limit=limit, postgres=postgres, more=told is None)

    def _points(self) -> None:
        self._tell(f"Filling in {self._sizes.points:,} points.")
        runs = [
            filling.make_runs(api, experiment, self._sizes.points)
            for api, experiment in zip(self._apis[:2], self._experiments[:2], strict=True)
        ]
        before = [server.stored() for server in self._servers]
        filling.points_kept(self._servers[0], runs[0])
        filling.points_mlflow(self._servers[1], runs[1])
        after = [server.stored() for server in self._servers]
        count = len(runs[0]) * filling.HISTORY
        (kept, kept_points), (mlflow, points) = [
            reading.read_history(api, some[0]) for api, some in zip(self._apis[:2], runs, strict=True)
        ]
        self._check("history", kept_points == points, len(points) == filling.HISTORY)
        self._add("history of a metric of 100,000 points", "s", kept, mlflow, times=10)
        kept, mlflow = ((last - first) / count for first, last in zip(before, after, strict=True))
        self._add(f"bytes of a metric point, of {count:,}", "bytes", kept, mlflow, times=3)

    def _move_file(self) -> None:
        self._tell(f"Moving a file of {self._sizes.file_mb:,} MB.")
        size = self._sizes.file_mb << 20

        def move(place: int) -> tuple[float, float, float, bool]:
            api, experiment = self._apis[place], self._experiments[place]
            path = f"{experiment}/{api.run(experiment, 'file')}/artifacts/file.bin"
            return reading.move_file(self._servers[place], api, path, size)

        kept, mlflow = self._in_turns(move, 3)
        self._check("the file", *(one[3] for one in kept + mlflow))
        for place, way in enumerate(("up", "down")):
            quickest, others = (max(float(one[place]) for one in some) for some in (kept, mlflow))
            self._add(f"file {way} through the proxy", "MB/s", quickest, others, more_is_better=True, times=1)
        grown, others = (max(one[2] for one in some) for some in (kept, mlflow))
        self._add("memory that the file took of the server", "MB", grown, others, limit=_FLAT)

    def _add(self, work: str, unit: str, kept: float, mlflow: float, **more: Any) -> None:
        self.figures.append(Figure(work, unit, kept, mlflow, **more))

    def _check(self, what: str, *holds: bool) -> None:
        if not all(holds):
            self.different.append(what)
