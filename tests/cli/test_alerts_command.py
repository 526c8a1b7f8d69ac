"""`kept alerts` as a person meets it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kept.app.workspace import embedded_actor, open_workspace
from kept.cli import show
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.settings.settings import load_settings

Ask = Callable[..., Any]


@pytest.fixture
def ask(command: Ask) -> Ask:
    """Asks `kept alerts ...` in a folder of its own; the answer as JSON, or what was said."""
    return partial(command, "alerts")


def raised(folder: Path, title: str) -> str:
    settings = load_settings(folder)
    workspace = open_workspace(settings, create=True)
    request = RaiseAlert(
        project="p",
        endpoint="trains",
        kind="drift",
        severity="warning",
        title=title,
        evidence={
            "budget": "at most one false alarm in 90 days",
            "causes": ["x moved"],
            "columns": [{"name": "x", "evidence": 1234.5}],
        },
    )
    return raise_alert(workspace, embedded_actor(settings, "cli"), request).id


def test_an_alert_from_its_beginning_to_its_end(ask: Ask, tmp_path: Path) -> None:
    one, other = raised(tmp_path, "the inputs have drifted"), raised(tmp_path, "the predictions have drifted")
    assert [each["id"] for each in ask("list", "--json")] == [other, one]
    said = ask("list")
    assert "the inputs have drifted" in said
    assert one[-8:] in said
    shown = ask("show", one[-8:])
    ways = (f"kept alerts ack {one[-8:]}", "kept rollback --endpoint trains", "alert_email", "nothing yet")
    for part in ("at most one false alarm in 90 days", "x moved", "open", "what the loop did", *ways):
        assert part in shown
    # Causes tell it in sentences; --json and the page have the numbers.
    assert "1234" not in shown
    taken = ask("ack", one[-8:], "--note", "a new sensor", "--owner", "bob", "--json")
    assert (taken["state"], taken["owner"], taken["note"]) == ("acknowledged", "bob", "a new sensor")
    assert "bob deals with it" in ask("ack", one, "--owner", "bob")
    assert "Resolved" in ask("resolve", one, "--reason", "the sensor is gone")
    assert [each["id"] for each in ask("list", "--endpoint", "trains", "--json")] == [other]
    assert len(ask("list", "--all", "--json")) == 2
    over = ask("show", one)
    assert "a new sensor" in over
    assert "kept alerts ack" not in over


def test_the_list_and_the_status_tell_what_is_wrong_in_a_narrow_terminal(
    command: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = raised(tmp_path, "the inputs have drifted")
    monkeypatch.setattr(show.console, "width", 80)
    for said in (command("alerts", "list"), command("status")):
        assert "trains: the inputs have drifted" in said
        assert one[-8:] in said
        assert "open" in said


def test_mutes_are_made_listed_and_taken_back(ask: Ask, tmp_path: Path) -> None:
    raised(tmp_path, "the inputs have drifted")
    made = ask("mute", "trains", "--until", "8h", "--reason", "sale", "--kind", "drift", "--column", "x", "--json")
    assert (made["kind"], made["column"], made["reason"]) == ("drift", "x", "sale")
    assert "drift about x of trains" in ask("list")
    assert "No longer muted" in ask("unmute", made["id"][-8:])
    assert "is not a kind" in ask("mute", "trains", "--until", "8h", "--reason", "r", "--kind", "rain", code=1)
    assert "no such alert" in ask("show", "nothing", code=1)
