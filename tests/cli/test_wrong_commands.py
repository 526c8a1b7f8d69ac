"""What is said of a command that does not exist: the one that was meant."""

import pytest

from kept.cli.main import COMMANDS, USAGE, main


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("staus", "kept status"),
        ("ui", "kept web"),
        ("train", "kept run"),
        ("Compare", "kept runs compare"),
        ("nonsense", "kept --help"),
    ],
)
def test_a_command_that_is_not_there_leads_to_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    monkeypatch.setattr("sys.argv", ["kept", typed])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == USAGE
    said = capsys.readouterr().err
    assert meant in said
    assert meant.split()[1] in {*COMMANDS, "--help"}


def test_the_first_screen_says_where_to_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kept"])
    with pytest.raises(SystemExit):
        main()
    assert "Begin with kept init" in capsys.readouterr().out
