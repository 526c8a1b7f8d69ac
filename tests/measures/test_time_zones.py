"""Zones are told by the clock of a place on a machine that has none of them: slim images bring no zones of their own."""

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_zones_come_with_the_package_where_the_machine_has_none() -> None:
    wanted = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert any(one.startswith("tzdata") for one in wanted)
    told = "from kept.measures.drift.cycle import season_of; from datetime import datetime, UTC;"
    told += "print(season_of('hour of day', datetime(2026, 7, 1, 12, tzinfo=UTC), 'Europe/Berlin'))"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, env={"PYTHONTZPATH": "", **_path()}
    )
    assert done.stdout.strip() == "14"


def _path() -> dict[str, str]:
    """Where this process finds its modules."""
    return {"PYTHONPATH": ":".join(one for one in sys.path if one)}
