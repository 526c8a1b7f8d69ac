"""What logging costs: single points, batches, and a whole run through MLflow's own client."""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from filling import BATCH, BEGAN, value
from servers import Server
from wire import Api, Wire, on_wires

_CLIENT = Path(__file__).parent / "client" / "log_runs.py"


class Logged(NamedTuple):
    """What logging gave: calls or points a second, the 99th percentile of a call's milliseconds, and whether it is all there."""

    rate: float
    late: float
    whole: bool


class ClientRun(NamedTuple):
    """A run logged by MLflow's client: milliseconds in all, those in which the client did not compute, and what it reads back."""

    took: float
    waited: float
    logged: dict[str, Any]


def best_of(several: Sequence[Logged]) -> Logged:
    """The best of each figure: what disturbs only makes them worse. What is lost once is lost."""
    return Logged(max(one.rate for one in several), min(one.late for one in several), all(one.whole for one in several))


def log_points(server: Server, experiment: str, clients: int, seconds: float) -> Logged:
    """Single points, by clients of which each sends the next when the last is answered."""
    api = Api(server.address)
    runs = [api.run(experiment, f"single-{clients}-{number}") for number in range(clients)]
    taken: list[float] = []
    counts = [0] * clients

    async def log(place: int, wire: Wire) -> None:
        end = time.perf_counter() + seconds
        step = 0
        while (sent := time.perf_counter()) < end:
            body = {"run_id": runs[place], "key": "loss", "value": value(step), "timestamp": BEGAN + step, "step": step}
            await wire.post("runs/log-metric", json.dumps(body).encode())
            taken.append(time.perf_counter() - sent)
            step += 1
        counts[place] = step

    took = on_wires(server.address, clients, log)
    kept = all(
        api.history(run, "loss") == [(step, BEGAN + step, value(step)) for step in range(count)]
        for run, count in zip(runs, counts, strict=True)
    )
    return Logged(len(taken) / took, _late(taken), kept)


def log_batches(server: Server, experiment: str, seconds: float) -> Logged:
    """Points by one client that sends 1,000 at a time, 100 of each of ten metrics."""
    api = Api(server.address)
    run = api.run(experiment, "batches")
    sent = 0
    taken: list[float] = []

    async def log(_: int, wire: Wire) -> None:
        nonlocal sent
        end = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            steps = range(sent // 10, (sent + BATCH) // 10)
            metrics = [
                {"key": f"metric-{name}", "value": value(step), "timestamp": BEGAN + step, "step": step}
                for step in steps
                for name in range(10)
            ]
            await wire.post("runs/log-batch", json.dumps({"run_id": run, "metrics": metrics}).encode())
            taken.append(time.perf_counter() - begun)
            sent += BATCH

    took = on_wires(server.address, 1, log)
    kept = api.history(run, "metric-7") == [(step, BEGAN + step, value(step)) for step in range(sent // 10)]
    return Logged(sent / took, _late(taken), kept)


def log_with_client(server: Server, environment: Path, folder: Path, runs: int, how: str) -> ClientRun:
    """A run with 10 parameters and 10 metrics, `together` or each `alone`: the medians of several, and what the last one tells."""
    surroundings = {
        "MLFLOW_TRACKING_URI": server.address,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
    }
    command = [str(environment / "bin" / "python"), "-W", "ignore", str(_CLIENT), str(runs), how]
    done = subprocess.run(
        command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=180, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    told = json.loads(done.stdout.splitlines()[-1])
    return ClientRun(told["milliseconds"], told["milliseconds"] - told["own"], told["logged"])


def _late(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.99)] * 1e3
