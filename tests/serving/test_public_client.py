"""The public client of the Open Inference Protocol, as it is published, against a real service."""

import subprocess
from pathlib import Path

from predicting import Service

SCRIPTS = Path(__file__).parent / "scripts"


def run(client_python: Path, script: str, *arguments: str) -> None:
    command = [str(client_python), str(SCRIPTS / script), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr
    assert "all is well" in done.stdout


def test_over_http(running: Service, client_python: Path) -> None:
    run(client_python, "over_http.py", f"127.0.0.1:{running.port}")
