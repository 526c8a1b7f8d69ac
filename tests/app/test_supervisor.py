from pathlib import Path

import pytest

from kept.app import supervisor
from kept.app.supervisor import Supervisor


def test_a_log_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_LARGEST_LOG", 50)
    logs = tmp_path / "logs"
    (logs / "web.log.1").parent.mkdir()
    (logs / "web.log.1").write_text("older")
    (logs / "web.log").write_text("x" * 60 + "\n")
    kept = Supervisor(logs)
    kept.start("web", ["--version"])
    try:
        kept.look(wait=0)
    finally:
        kept.stop()
    assert (logs / "web.log.1").read_text().startswith("x" * 60)
    assert "x" not in (logs / "web.log").read_text()


def test_why_a_process_ended_is_known(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    said: dict[str, str] = {}

    def ended(name: str, _: int) -> None:
        said[name] = kept.last_words(name)

    kept = Supervisor(logs, ended)
    for name in ("web", "silent"):
        (logs / f"{name}.log").write_text("of an earlier start\n")
    kept.start("web", ["nonsense"])
    kept.start("silent", ["-q", str(logs)], module="compileall")
    try:
        for _ in range(600):
            if len(said) == 2:
                break
            kept.look()
    finally:
        kept.stop()
    assert said == {"web": "There is no command 'nonsense'. See kept --help", "silent": ""}
