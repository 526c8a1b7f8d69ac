"""The prediction service beside its peers, one worker each, in one run: `make bench-serving`.

Every service gets the same fitted model and the same rows; each answer must be scikit-learn's to 1e-5. `wrk` sends; all
that is measured is measured in turns, and of the turns the best counts.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import services
from figures import Figure, short, table_of
from load import Measured, goodput, load, script
from models import Subject, boosted, centroids, kernel, texts
from rich.console import Console
from rich.table import Table
from services import Service

_PEERS: dict[str, tuple[str, Callable[[Subject, Path], Service]]] = {
    "MLServer": ("serving-mlserver", services.mlserver),
    "BentoML": ("serving-bentoml", services.bentoml),
    "MLflow": ("mlflow", services.mlflow),
    "LitServe": ("serving-litserve", services.litserve),
    "FastAPI": ("mlflow", services.fastapi),
}
# What cannot be exported is held against what is written by hand alone, which runs it in the same way as all others do.
_NOT_EXPORTED = ("kernel", "centroids")
# (model, rows of a request, connections)
_LOADS = [("boosted", 1, 16), ("boosted", 1, 64), ("boosted", 100, 16), ("texts", 1, 16)]
_LOADS += [(kind, 1, connections) for kind in _NOT_EXPORTED for connections in (16, 64)]
_BY_HAND = "FastAPI"
_SUBJECTS = {"boosted": boosted, "texts": texts, "kernel": kernel, "centroids": centroids}
_WARM_SECONDS = 1.0

Key = tuple[str, str, int, int]


class Comparison:
    """All services, one after the other: the ones that are not measured are not running."""

    def __init__(self, folder: Path, seconds: float, turns: int, peers: list[str], console: Console) -> None:
        self.found: dict[Key, Measured] = {}
        self.started: dict[tuple[str, str], tuple[float, float]] = {}
        # Kept's answers in time at three times the peak of 100 rows, percent of it.
        self.goodput = 0.0
        self.wrong: list[str] = []
        self._folder, self._seconds, self._turns, self._peers, self._console = folder, seconds, turns, peers, console
        self._number = 0

    def run(self) -> None:
        """Measures everything."""
        subjects = {name: make(self._folder / name) for name, make in _SUBJECTS.items()}
        for turn in range(self._turns):
            for subject in subjects.values():
                for name in ("Kept", "Kept without log", *self._peers):
                    if name == "Kept without log" and subject.name != "boosted":
                        continue
                    if subject.name in _NOT_EXPORTED and name not in ("Kept", _BY_HAND):
                        continue
                    self._console.print(f"[dim]Turn {turn + 1} of {self._turns}: {name}, {subject.name}.")
                    with self._service(name, subject) as service:
                        self._measure(name, service, subject)

    def best(
        self, kind: str, rows: int, connections: int, *, among: list[str], late: bool = False
    ) -> tuple[str, float]:
        """The best of some services at a load, by rate or by the 99th percentile."""
        known = {name: found for name in among if (found := self.found.get((name, kind, rows, connections)))}
        if not known:
            return "none was measured", 0.0
        chosen = min(known, key=lambda name: known[name].late if late else -known[name].rate)
        return chosen, known[chosen].late if late else known[chosen].rate

    def _service(self, name: str, subject: Subject) -> Service:
        self._number += 1
        folder = self._folder / f"service-{self._number}"
        if name.startswith("Kept"):
            service = services.kept(subject, folder)
            if name == "Kept without log":
                service.command[1:3] = [str(Path(__file__).with_name("without_log.py"))]
            return service
        return _PEERS[name][1](subject, folder)

    def _measure(self, name: str, service: Service, subject: Subject) -> None:
        told = service.start(subject)
        if len(told) != len(subject.expected) or max(
            abs(one - other) for one, other in zip(told, subject.expected, strict=True)
        ) > 1e-5:  # fmt: skip
            self.wrong.append(f"{name} does not answer what scikit-learn answers ({subject.name})")
        time.sleep(_WARM_SECONDS)
        cold, memory = self.started.get((name, subject.name), (float("inf"), float("inf")))
        for kind, rows, connections in _LOADS:
            if kind != subject.name:
                continue
            body = service.encoded(subject.rows[:rows], subject.columns)
            asked = script(service.folder, body, {"content-type": "application/json", **service.headers})
            load(service.url, asked, service.processes, connections=connections, seconds=_WARM_SECONDS)
            key = (name, kind, rows, connections)
            found = load(service.url, asked, service.processes, connections=connections, seconds=self._seconds)
            if found.failed:
                self.wrong.append(
                    f"{name} failed {found.failed} times ({kind}, {rows} rows, {connections} connections)"
                )
            before = self.found.get(key)
            if before is None or found.rate > before.rate:
                self.found[key] = found
        if name == "Kept" and subject.name == "boosted":
            asked_over = service.folder / "body.json"
            asked_over.write_bytes(service.encoded(subject.rows, subject.columns))
            self.goodput = max(self.goodput, goodput(service.url, service.process, asked_over, services.TOKEN))
        self.started[name, subject.name] = min(cold, service.seconds_to_answer), min(memory, service.memory())


def figures_of(comparison: Comparison, peers: list[str]) -> list[Figure]:
    """What is to be reached, against the best of the peers and against what is written by hand."""
    servers = [name for name in peers if name != _BY_HAND]
    mine = {(kind, rows, number): comparison.found["Kept", kind, rows, number] for kind, rows, number in _LOADS}
    found = []

    def against(work: str, load_: tuple[str, int, int], among: list[str], times: float) -> None:
        name, rate = comparison.best(*load_, among=among)
        found.append(Figure(work, "/s", mine[load_].rate, rate, name, more_is_better=True, times=times))

    for connections in (16, 64):
        against(f"one row, {connections} connections, the servers", ("boosted", 1, connections), servers, 15)
        against(f"one row, {connections} connections, by hand", ("boosted", 1, connections), [_BY_HAND], 15)
    name, late = comparison.best("boosted", 1, 16, among=servers, late=True)
    found.append(Figure("99th percentile, 16 connections", "ms", mine["boosted", 1, 16].late, late, name, times=3))
    against("100 rows, 16 connections", ("boosted", 100, 16), servers, 3)
    against("columns of text, 16 connections", ("texts", 1, 16), peers, 10)
    for kind in _NOT_EXPORTED:
        for connections in (16, 64):
            against(f"not exported: {kind}, {connections} connections", (kind, 1, connections), [_BY_HAND], 10)
    found.append(Figure("CPU of one answer, 16 connections", "us", mine["boosted", 1, 16].cpu, limit=60))
    silent = comparison.found["Kept without log", "boosted", 1, 16]
    slower = 100 * (1 - mine["boosted", 1, 16].rate / silent.rate)
    found.append(Figure("slower by the log, 16 connections", "%", slower, limit=25))
    cold, memory = comparison.started["Kept", "boosted"]
    overloaded = "100 rows, in time at 3x the peak"
    found += [
        Figure(overloaded, "%", comparison.goodput, more_is_better=True, limit=80),
        Figure("first answer from cold", "s", cold, limit=1),
        Figure("memory of a worker", "MB", memory, limit=120),
    ]
    return found


def all_of(comparison: Comparison) -> Table:
    """Every load on every service."""
    table = Table(title="Answers a second, 99th percentile, CPU of one answer")
    table.add_column("service")
    for kind, rows, connections in _LOADS:
        table.add_column(f"{kind}, {rows} row{'s' * (rows > 1)}, {connections}", justify="right")
    table.add_column("cold, memory", justify="right")
    for name in dict.fromkeys(key[0] for key in comparison.found):
        cells = []
        for load_ in _LOADS:
            one = comparison.found.get((name, *load_))
            cells.append("" if one is None else f"{short(one.rate)}/s {short(one.late)} ms {short(one.cpu)} us")
        cold, memory = comparison.started[name, "boosted"]
        table.add_row(name, *cells, f"{cold:.1f} s {memory:.0f} MB")
    return table


def main() -> int:
    """0 when every figure is reached, every answer is right and nothing failed; 1 when not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--turns", type=int, default=2, help="how often each service is measured")
    parser.add_argument("--peers", default=",".join(_PEERS), help="with commas")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed (Debian: apt install wrk)")
    console = Console(width=160)
    peers = []
    for name in given.peers.split(","):
        if services.installed(_PEERS[name][0]):
            peers.append(name)
        else:
            console.print(f"[yellow]{name} is left out: its environment .venv-bench-{_PEERS[name][0]} is not there.")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kept-bench-") as place:
        comparison = Comparison(Path(place), given.seconds, given.turns, peers, console)
        comparison.run()
    figures = figures_of(comparison, peers)
    console.print(all_of(comparison))
    console.print(table_of(figures, "What is to be reached"))
    for what in comparison.wrong:
        console.print(f"[red]{what}")
    reached = sum(one.reached for one in figures)
    if given.json:
        told = {
            "figures": [one.told() for one in figures],
            "loads": [{"load": key, **asdict(found)} for key, found in comparison.found.items()],
            "wrong": comparison.wrong,
            "reached": reached,
        }
        given.json.write_text(json.dumps(told, indent=2) + "\n")
    print(f"{reached} of {len(figures)} figures are reached ({time.perf_counter() - begun:.0f} s)")
    return 0 if reached == len(figures) and not comparison.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
