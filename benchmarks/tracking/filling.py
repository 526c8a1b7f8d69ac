"""Fills both servers with the same runs and points.

Kept takes them through its API. MLflow would take hours for the large sizes, so its rows go straight into its tables, as
its server writes them; that they are what the server would tell is checked when both are asked.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

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


def values_of(number: int) -> tuple[dict[str, float], dict[str, str], dict[str, str], str]:
    """Metrics, parameters, tags and state of the run of this number."""
    metrics = {"loss": value(number), "accuracy": value(number + 1), "seconds": float(number % 600)}
    params = {
        "rate": str(value(number + 2)),
        "depth": str(number % 12),
        "note": f"trial {number % 977} on shard {number % 31}",
    }
    return metrics, params, {"team": _TEAMS[number % 4], "origin": "bench"}, "FINISHED" if number % 10 else "FAILED"


def fill_kept(server: Server, experiment: str, runs: int) -> None:
    """Makes runs through the API, on several connections."""

    async def make(number: int, wire: Wire) -> None:
        metrics, params, tags, status = values_of(number)
        body: dict[str, Any] = {
            "experiment_id": experiment,
            "run_name": f"run-{number:06}",
            "start_time": BEGAN + number,
        }
        run = json.loads(await wire.post("runs/create", json.dumps(body).encode()))["run"]["info"]["run_id"]
        body = {
            "run_id": run,
            "metrics": [{"key": name, "value": one, "timestamp": BEGAN, "step": 0} for name, one in metrics.items()],
            "params": [{"key": name, "value": one} for name, one in params.items()],
            "tags": [{"key": name, "value": one} for name, one in tags.items()],
        }
        await wire.post("runs/log-batch", json.dumps(body).encode())
        await wire.post(
            "runs/update", json.dumps({"run_id": run, "status": status, "end_time": BEGAN + number}).encode()
        )

    async def some(place: int, wire: Wire) -> None:
        for number in range(place, runs, _WIRES):
            await make(number, wire)

    on_wires(server.address, _WIRES, some)


def fill_mlflow(server: Server, experiment: str, runs: int) -> None:
    """Makes the same runs in the tables."""
    made = [(uuid.uuid4().hex, number, *values_of(number)) for number in range(runs)]
    with _tables(server) as tables:
        tables.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
            "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, ?, 'UNKNOWN', '', '', '', ?, ?, ?, '', 'active', ?, ?)",
            (
                (run, f"run-{number:06}", status, BEGAN + number, BEGAN + number,
                 f"mlflow-artifacts:/{experiment}/{run}/artifacts", int(experiment))
                for run, number, _, _, _, status in made
            ),
        )  # fmt: skip
        logged = [(name, one, BEGAN, 0, False, run) for run, _, metrics, *_ in made for name, one in metrics.items()]
        _put_points(tables, logged)
        _put_latest(tables, logged)
        tables.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
            ((name, text, run) for run, _, _, params, _, _ in made for name, text in params.items()),
        )
        tables.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            (
                (name, text, run)
                for run, number, _, _, tags, _ in made
                for name, text in {**tags, "mlflow.runName": f"run-{number:06}"}.items()
            ),
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
