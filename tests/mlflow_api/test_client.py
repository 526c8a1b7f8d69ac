"""The client of MLflow as it is published, against a real server: what people have written goes on working."""

from pathlib import Path

import pytest
from running import run_script

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_a_script_works_as_it_is(script: str, server: str, client_python: Path, tmp_path: Path) -> None:
    run_script(client_python, SCRIPTS / f"{script}.py", server, tmp_path)
