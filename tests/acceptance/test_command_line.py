"""The command line as a person or a program meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from living import ENDPOINT, call, moment

from kept.cli.main import COMMANDS, DONE, MISTAKE, OUR_FAULT, USAGE

HEAVY = {
    "dbos",
    "deltalake",
    "httpx",
    "litestar",
    "numpy",
    "onnxruntime",
    "optuna",
    "polars",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "typer",
    "uvicorn",
}
ANSWERS = [
    ("runs", "list"),
    ("runs", "show", "RUN"),
    ("models", "list"),
    ("models", "search", "--where", "roc_auc > 0.5"),
    ("models", "show", ENDPOINT),
    ("data", "list"),
    ("data", "show", "journeys"),
    ("data", "schema", "journeys"),
    ("labels", "show"),
    ("history", ENDPOINT),
    ("history", ENDPOINT, "--at", moment(1).isoformat()),
    ("status",),
    ("audit", "list"),
    ("audit", "verify"),
    ("workspace", "status"),
    ("workspace", "migrate"),
]


def imported_by(code: str) -> set[str]:
    """The top-level packages that are loaded once the code has run."""
    code += "\nimport sys\nprint('\\n', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_kept_imports_nothing_heavy() -> None:
    found = imported_by("import kept")
    assert "kept" in found
    assert not found & (HEAVY | {"msgspec"})


def test_help_imports_nothing_heavy() -> None:
    help_page = "import sys\nsys.argv = ['kept', '--help']\nfrom kept.cli.main import main\n"
    found = imported_by(help_page + "try:\n    main()\nexcept SystemExit as ended:\n    assert ended.code == 0")
    assert not found & HEAVY


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, command, "--help") == DONE
    said = capsys.readouterr().out
    assert "Usage:" in said
    assert f"kept {command}" in said


@pytest.mark.parametrize("command", ANSWERS, ids=" ".join)
def test_every_answer_can_be_had_as_json(
    command: tuple[str, ...], mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(mine)
    if "RUN" in command:
        assert call(monkeypatch, "runs", "list", "--json") == DONE
        run = json.loads(capsys.readouterr().out)[0]["run"]["id"]
        command = tuple(run if one == "RUN" else one for one in command)
    assert call(monkeypatch, *command, "--json") == DONE
    assert isinstance(json.loads(capsys.readouterr().out), dict | list)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), USAGE, "Commands, in the order of a model's life"),
        (("--version",), DONE, "kept 0"),
        (("modles",), USAGE, "Did you mean kept models?"),
        (("models", "--nothing"), USAGE, "No such"),
        (("models", "list", "--limit", "many"), USAGE, "--limit"),
        (("release", "--waht"), USAGE, "--waht"),
        (("models", "show", "nothing"), MISTAKE, "nothing"),
        (("models", "show", ENDPOINT, "77"), MISTAKE, "77"),
        (("release", "77"), MISTAKE, "77"),
        (("runs", "show", "nothing"), MISTAKE, "nothing"),
        (("data", "show", "nothing"), MISTAKE, "nothing"),
        (("history", "nothing"), MISTAKE, "nothing"),
        (("history", ENDPOINT, "--at", "yesterday"), MISTAKE, "--at"),
        (("history", ENDPOINT, "--at", "2013-01-01T00:00:00"), MISTAKE, "zone"),
        (("trace", "nothing"), MISTAKE, "nothing"),
        (("audit", "list", "--workspace", "elsewhere"), MISTAKE, "there is no workspace"),
        (("run", "--project", "elsewhere.py"), MISTAKE, "there is no such project file"),
        (("labels", "import", "elsewhere.csv"), MISTAKE, "elsewhere.csv"),
        (("run", "--window", "a while"), MISTAKE, "a while"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_exit_codes_and_messages_say_whose_turn_it_is(
    arguments: tuple[str, ...],
    code: int,
    said: str,
    mine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(mine)
    assert call(monkeypatch, *arguments) == code
    captured = capsys.readouterr()
    assert said in captured.out + captured.err
    assert "Traceback" not in captured.err
    assert (captured.err == "") == (code == DONE or not arguments)


def test_our_own_fault_is_70_and_shows_where(tmp_path: Path) -> None:
    code = "import sys\nsys.argv = ['kept', 'broken']\nfrom kept.cli import main\n"
    code += "main.COMMANDS['broken'] = ('kept.cli.nowhere', '')\nmain.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == OUR_FAULT
    assert "Traceback" in done.stderr
    assert "a fault of Kept, not yours" in done.stderr
