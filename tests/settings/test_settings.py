from pathlib import Path

import pytest

from kept.core.errors import Invalid
from kept.settings.settings import Settings, load_settings


def test_what_is_given_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    (tmp_path / "kept.toml").write_text('port = 1\nhost = "a"\nworkspace = "w"\n')
    found = load_settings(tmp_path, {"KEPT_PORT": "2", "KEPT_HOST": "b"}, port=3, host=None)
    assert (found.port, found.host, found.workspace, found.token) == (3, "b", "w", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("port = 'x'", "port"),
        ("port = 70000", "port"),
        ("prot = 1", "prot"),
        ("port =", "not valid TOML"),
        ("steps_at_once = 0", "steps_at_once"),
        ("poll_seconds = 0", "poll_seconds"),
        ("poll_seconds = nan", "poll_seconds"),
        ("workspace = ''", "workspace"),
        ("alert_escalation_after = 'soon'", "alert_escalation_after"),
        ("alert_escalation_after = '0m'", "alert_escalation_after"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "kept.toml").write_text(text)
    with pytest.raises(Invalid, match=says):
        load_settings(tmp_path, {})


def test_every_setting_has_a_default() -> None:
    assert Settings().port == 8700


def test_surroundings_of_an_mlflow_server_can_be_taken_over(tmp_path: Path) -> None:
    told = {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    found = load_settings(tmp_path, told)
    assert (found.webhook_schemes, found.webhook_private, found.webhook_timeout_seconds) == ("http", True, 30)
    (tmp_path / "kept.toml").write_text("webhook_schemes = 'https'\n")
    found = load_settings(tmp_path, {**told, "KEPT_WEBHOOK_PRIVATE": "false"})
    assert (found.webhook_schemes, found.webhook_private) == ("https", False)


def test_a_refusal_says_where_and_what_in_words(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        load_settings(tmp_path, {"KEPT_PORT": "99999"})
    assert str(refused.value).startswith("setting port: expected int <= 65534")


def test_a_name_that_is_none_is_said_with_the_one_that_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "kept.toml").write_text("prot = 8700\n")
    with pytest.raises(Invalid) as refused:
        load_settings(tmp_path, {})
    assert str(refused.value) == f"{tmp_path / 'kept.toml'}: there is no setting 'prot'. Write port"
