"""The processes of a running Kept hold no more than they need while nothing happens."""

import subprocess
import sys

import pytest

HEAVY = {
    "dbos",
    "litestar",
    "onnxruntime",
    "optuna",
    "plotly",
    "polars",
    "rich",
    "scipy",
    "skl2onnx",
    "sklearn",
    "sqlalchemy",
    "typer",
}


@pytest.mark.parametrize(
    ("modules", "needed"),
    [
        # What only watches the others.
        ("kept.cli.members, kept.cli.starting", set()),
        ("kept.cli.members, kept.app.prediction_service", {"onnxruntime", "sqlalchemy"}),
        ("kept.cli.members, kept.app.worker", {"polars", "sqlalchemy"}),
        ("kept.cli.members, kept.web.site", {"litestar", "polars", "sqlalchemy"}),
    ],
)
def test_a_process_loads_only_what_it_needs(modules: str, needed: set[str]) -> None:
    said = f"import sys, {modules}; print(*set({sorted(HEAVY)}) & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True, timeout=60)
    assert set(done.stdout.split()) == needed
