"""What people see: whole at 80 columns, and nobody's words taken for markup."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from kept.cli import show
from kept.cli.show import lines, say, short, spark, table
from kept.cli.status import measures
from kept.core.ids import new_id
from kept.monitoring.result import WindowResult

APRIL = datetime(2013, 4, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns. The console is asked for by name where it is used, so that it writes to the captured output."""
    monkeypatch.setattr(show, "console", Console(width=80))


def result(day: int, metric: str, value: float | None, high: float | None = None) -> WindowResult:
    start = APRIL + timedelta(days=day)
    return WindowResult(
        endpoint="e", version_id="v", start=start, monitor="m", metric=metric, value=value, high=high, rows=10
    )


def test_words_from_outside_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    words = "see [/tmp/x] and [red]this[/red] :smile:"
    say(("why", "bold"), f": {words}")
    lines([(("alarm", "yellow"), "now", words)])
    table("Runs", ["run", "~why"], [("1", words)])
    table("Data", ["[name]"], [(words,)])
    assert capsys.readouterr().out.count(words) == 4


def test_words_from_outside_do_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    words = "\x1b[2Ja\x9b31m\x1b]0;name\x07b\r\x7f"
    say(("why", "bold"), f": {words}")
    lines([((words, "yellow"), words)])
    table("Runs", ["run", "~why"], [(words, words)])
    said = capsys.readouterr().out
    assert not set(said) & set("\x1b\x9b\x07\r\x7f")
    assert said.count("[2Ja\N{REPLACEMENT CHARACTER}31m") == 5


@pytest.mark.parametrize("width", range(1, 12))
def test_there_is_no_screen_too_narrow_for_a_letter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(show, "console", Console(width=width))
    table("Runs", ["run", "~why", "#seconds"], [("学習", "学習の名前", 1.5)])
    assert "".join(capsys.readouterr().out.split()) in {
        "Runsrunwhyseconds学習学習の名前1.5",
        "Runsrunsecondswhy学習1.5学習の名前",
    }


def test_a_sentence_goes_on_below_itself_beside_other_columns(capsys: pytest.CaptureFixture[str]) -> None:
    table("Runs", ["run", "project", "#seconds", "~why"], [("4bd91a80", "flight-delays", 93.34, "a long reason " * 9)])
    said = capsys.readouterr().out.splitlines()
    assert max(map(len, said)) <= 80
    assert said[2].startswith("4bd91a80  flight-delays    93.34  a long reason")
    assert said[3].startswith(" " * 34 + "long reason")
    assert " ".join(said).count("reason") == 9


@pytest.mark.parametrize("width", [40, 60, 80])
def test_nothing_is_cut_on_a_narrow_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(show, "console", Console(width=width))
    columns = ["id", "severity", "endpoint", "state", "owner", "#times", "last", "~what"]
    what = "roc_auc at least 0.6 does not hold over 7d, which everybody should know"
    rows = [
        ("4bd91a80", "critical", "flight-delays", "acknowledged", "ops-research@example.org", 1234, APRIL, what),
        ("5bd91a80", "warning", "f", "open", "ada", 1, APRIL, "short"),
    ]
    table("Alerts", columns, rows)
    said = capsys.readouterr().out.splitlines()
    assert max(map(len, said)) <= width
    words = " ".join(" ".join(said).split())
    for told in ("ops-research@example.org", "acknowledged", "1234", "2013-04-01 00:00Z", what, "short"):
        assert told in words, words
    assert "…" not in words


def test_a_column_that_holds_nothing_takes_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    table("", ["name", "~why"], [("n" * 70, "because of this and of that"), ("m", "")])
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "name",
        "why",
        "n" * 70,
        "because of this and of that",
        "m",
    ]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    table("Runs", ["run"], [], nothing="No runs yet.")
    table("Runs", ["run"], [("1",)], nothing="No runs yet.")
    first, *more = capsys.readouterr().out.splitlines()
    assert first == "No runs yet."
    assert "1" in more[-1]


def test_a_sentence_goes_on_below_itself(capsys: pytest.CaptureFixture[str]) -> None:
    lines([(("promote", "cyan"), "2013-05-05 23:55Z", "word " * 30)])
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.index("word") == second.index("word")
    assert len(first) <= 80


def test_ids_made_at_once_are_told_apart() -> None:
    ids = [new_id() for _ in range(50)]
    assert len({short(one) for one in ids}) == 50


def test_detectors_are_shown_up_to_their_budget() -> None:
    windows = [result(day, "drift", 10.0**day, 90.0) for day in range(40)]
    windows += [result(day, "roc_auc", 0.7) for day in range(40)]
    windows += [result(day, "estimated", None) for day in range(3)]
    (name, bars, said), (other, _, value) = measures(windows)
    assert (name, said) == ("drift", ">= 90, alarm")
    assert bars == "█" * 30
    assert (other, value) == ("roc_auc", "0.7")
    assert measures([result(0, "decay", 34.71, 90.0)])[0][1:] == ("▄", "34.7, alarms at 90")


def test_bars_may_have_a_scale_of_their_own() -> None:
    assert spark([0.0, 0.5, 2.0], low=0.0, high=1.0) == "▁▅█"
    assert spark([1.0, None, 2.0]) == "▁ █"
    assert spark([]) == ""
