"""Fills both servers with the same runs and points.

Runs go straight into the tables of both, as their servers write them: through the APIs the large sizes would take
minutes, and hours. That they are what the servers would tell is checked when both are asked. Kept takes points through
its API; MLflow's go into its tables.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from typing import NamedTuple

from servers import Server
from wire import Api, Wire, on_wires

BEGAN = 1_700_000_000_000
HISTORY = 100_000
BATCH = 1_000
_WIRES = 8
_TEAMS = ("red", "green", "blue", "amber")


def value(number: int) -> float:
    """A number from 0 to 1 that no other below 2**32 has, in no order."""
    return (number * 2_654_435_761 % 2**32) / 2**32


class Logged(NamedTuple):
    """What is logged to a run: each metric once."""

    name: str
    began: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    failed: bool

    @property
    def all_tags(self) -> dict[str, str]:
        """With the one that clients hold the name in."""
        return {**self.tags, "mlflow.runName": self.name}


def many_runs(count: int) -> list[Logged]:
    """Runs that differ in all that is searched."""
    return [
        Logged(
            f"run-{number:06}",
            BEGAN + number,
            {"loss": value(number), "accuracy": value(number + 1), "seconds": float(number % 600)},
            {
                "rate": str(value(number + 2)),
                "depth": str(number % 12),
                "note": f"trial {number % 977} on shard {number % 31}",
            },
            {"team": _TEAMS[number % 4], "origin": "bench"},
            number % 10 == 0,
        )
        for number in range(count)
    ]


def wide_runs(names: int) -> list[Logged]:
    """A thousand runs of twelve metrics each, of so many names in all."""
    return [
        Logged(
            f"run-{number:06}",
            BEGAN + number,
            {f"metric-{(number * 12 + place) % names:05}": value(number * 12 + place) for place in range(12)},
            {},
            {},
            False,
        )
        for number in range(1_000)
    ]


def fill_mlflow(server: Server, experiment: str, logged: list[Logged]) -> None:
    """Makes the runs in the tables of MLflow's server, as it writes them."""
    made = [(uuid.uuid4().hex, one) for one in logged]
    with _tables(server) as tables:
        tables.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
            "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, ?, 'UNKNOWN', '', '', '', ?, ?, ?, '', 'active', ?, ?)",
            (
                (run, one.name, "FAILED" if one.failed else "FINISHED", one.began, one.began,
                 f"mlflow-artifacts:/{experiment}/{run}/artifacts", int(experiment))
                for run, one in made
            ),
        )  # fmt: skip
        points = [(name, number, BEGAN, 0, False, run) for run, one in made for name, number in one.metrics.items()]
        _put_points(tables, points)
        _put_latest(tables, points)
        tables.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
            ((name, text, run) for run, one in made for name, text in one.params.items()),
        )
        tables.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            ((name, text, run) for run, one in made for name, text in one.all_tags.items()),
        )
    tables.close()


def points_kept(server: Server, runs: list[str]) -> None:
    """Logs the points of each run through the API."""

    async def some(place: int, wire: Wire) -> None:
        for number in range(place, len(runs), _WIRES):
            for batch in _batches(number):
                metrics = [{"key": name, "value": one, "timestamp": at, "step": step} for name, one, at, step in batch]
                await wire.post("runs/log-batch", json.dumps({"run_id": runs[number], "metrics": metrics}).encode())

    on_wires(server.address, _WIRES, some)


def points_mlflow(server: Server, runs: list[str]) -> None:
    """Makes the same points in the tables."""
    with _tables(server) as tables:
        for number, run in enumerate(runs):
            latest = {}
            for batch in _batches(number):
                rows = [(name, one, at, step, False, run) for name, one, at, step in batch]
                _put_points(tables, rows)
                latest.update({row[0]: row for row in rows})
            _put_latest(tables, list(latest.values()))
    tables.close()


def make_runs(api: Api, experiment: str, points: int) -> list[str]:
    """Runs for so many points, of which each takes 100,000."""
    return [api.run(experiment, f"points-{number}") for number in range(max(1, points // HISTORY))]


def _batches(number: int) -> Iterator[list[tuple[str, float, int, int]]]:
    """The points (name, value, timestamp, step) of a run: of one metric in the first, of ten in the others."""
    names = [f"metric-{place}" for place in range(10)] if number else ["loss"]
    for first in range(0, HISTORY, BATCH):
        yield [
            (names[place % len(names)], value(place), BEGAN + place, place // len(names))
            for place in range(first, first + BATCH)
        ]


def _tables(server: Server) -> sqlite3.Connection:
    return sqlite3.connect(server.database, timeout=60)


def _put_points(tables: sqlite3.Connection, rows: list[tuple[str, float, int, int, bool, str]]) -> None:
    tables.executemany(
        "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)", rows
    )


def _put_latest(tables: sqlite3.Connection, rows: list[tuple[str, float, int, int, bool, str]]) -> None:
    tables.executemany(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)", rows
    )
