"""Tracking beside MLflow's server, both on SQLite on this machine, in one run, and Kept on PostgreSQL: `make bench-tracking`."""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from comparison import Comparison, Sizes
from figures import table_of
from postgres import postgres_server
from rich.console import Console
from servers import kept_server, mlflow_server

_ENVIRONMENT = Path(__file__).parents[2] / ".venv-bench-mlflow"
_QUICK = Sizes(runs=5_000, points=200_000, file_mb=64, seconds=4.0)
_FULL = Sizes(runs=100_000, points=10_000_000, file_mb=1_000, seconds=8.0)


def main() -> int:
    """0 when every figure is reached and both servers told the same, 1 when not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="100,000 runs, 10 million points, a file of 1 GB")
    parser.add_argument("--runs", type=int, help="runs in the experiment that is searched")
    parser.add_argument("--workers", type=int, default=1, help="worker processes of MLflow's server")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    sizes = _FULL if given.full else _QUICK
    if given.runs:
        sizes = sizes.with_runs(given.runs)
    if not (_ENVIRONMENT / "bin" / "mlflow").exists():
        parser.error(f"{_ENVIRONMENT.name} is not there: run make bench-tracking")
    console = Console(width=140)
    begun, busy = time.perf_counter(), os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="kept-bench-") as place,
        kept_server(Path(place) / "kept") as kept,
        mlflow_server(Path(place) / "mlflow", _ENVIRONMENT, given.workers) as mlflow,
        postgres_server() as postgres,
        kept_server(Path(place) / "kept-postgres", postgres or "") as third,
    ):
        comparison = Comparison(
            kept,
            mlflow,
            _ENVIRONMENT,
            Path(place),
            sizes,
            lambda text: console.print(f"[dim]{text}"),
            (postgres, third) if postgres else (None, None),
        )
        comparison.run()
    title = f"Tracking: {sizes.runs:,} runs, {sizes.points:,} points, a file of {sizes.file_mb:,} MB"
    console.print(table_of(comparison.figures, title))
    for note in comparison.notes:
        console.print(note)
    for what in comparison.different:
        console.print(f"[red]The servers told different things, or not what was logged: {what}")
    reached = sum(figure.reached for figure in comparison.figures)
    if given.json:
        told = {
            "sizes": sizes.told(),
            "figures": [figure.told() for figure in comparison.figures],
            "different": comparison.different,
            "notes": comparison.notes,
            "reached": reached,
            "load": [busy, os.getloadavg()[0]],
            "seconds": time.perf_counter() - begun,
        }
        given.json.write_text(json.dumps(told, indent=2) + "\n")
    took, now = time.perf_counter() - begun, os.getloadavg()[0]
    print(f"The load of the machine was {busy:.1f} before it began and is {now:.1f} now; it took {took:.0f} s.")
    print(f"{reached} of {len(comparison.figures)} figures reached")
    return 0 if reached == len(comparison.figures) and not comparison.different else 1


if __name__ == "__main__":
    sys.exit(main())
