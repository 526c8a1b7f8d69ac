import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kept.cli import show
from kept.cli.main import main


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs `kept ...` in a folder of its own, and expects a code; the answer as JSON, or what was said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(show.console, "width", 160)
    for name in [name for name in os.environ if name.startswith("KEPT_")]:
        monkeypatch.delenv(name)

    def running(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["kept", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        return msgspec.json.decode(said.out) if "--json" in arguments and code == 0 else said.out + said.err

    return running
