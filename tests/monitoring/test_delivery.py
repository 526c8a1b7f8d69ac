from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.policy import default
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mail_server import MailServer, make_certificate

from kept.app.courier import Courier
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Notice
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.incidents import (
    Acknowledge,
    ListIncidents,
    MuteAlerts,
    Resolve,
    ShowIncident,
    acknowledge,
    list_incidents,
    mute,
    resolve,
    show_incident,
)
from kept.monitoring.notify import deliver, deliver_notice, give_up_removed, places_owed
from kept.monitoring.receivers import groups
from kept.monitoring.records import insert_notice
from kept.monitoring.telling import tell_due
from kept.plan.catalog import ensure_registered
from kept.plan.objective import at_least
from kept.plan.project import Project
from kept.settings.settings import Settings
from kept.testing.manual_clock import ManualClock
from webhook_receiver import receiving

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
DECAY = RaiseAlert(
    project="flights",
    endpoint="flights",
    kind="decay",
    severity="critical",
    title="the loss on labelled predictions has risen",
    evidence={"budget": "at most one false alarm in 90 days", "causes": ["x: it moved\r\nBcc: all@example.org", "y"]},
    version_id="v1",
    event_time=NOON,
)


with_apprise = pytest.mark.skipif(find_spec("apprise") is None, reason="Apprise is an extra")
# One of Apprise's many services still imports it.
IMGHDR = "ignore:'imghdr' is deprecated:DeprecationWarning"


@pytest.fixture
def post() -> Iterator[MailServer]:
    one = MailServer()
    yield one
    one.stop()


def configured(workspace: Workspace, clock: ManualClock, **settings: Any) -> Workspace:
    return replace(workspace, settings=msgspec.structs.replace(workspace.settings, **settings), clock=clock)


def by_mail(workspace: Workspace, port: int, **more: Any) -> Workspace:
    given = {"alert_email": "ops@example.org", "smtp_host": "localhost", "smtp_port": port, "smtp_security": "none"}
    return configured(workspace, ManualClock(NOON), **(given | more))


def notices(workspace: Workspace, me: Actor, alert: str) -> tuple[Notice, ...]:
    return show_incident(workspace, me, ShowIncident(incident=alert)).notices


def test_a_mail_tells_what_where_and_the_link(workspace: Workspace, me: Actor, post: MailServer) -> None:
    there = by_mail(workspace, post.port, pages_url="https://kept.example.org/")
    alert = raise_alert(there, me, DECAY)
    assert deliver(there) == 1
    ((to, text, sealed),) = post.took
    mail = message_from_string(text, policy=default)
    assert (to, sealed) == ("ops@example.org", False)
    assert mail["Subject"] == "[critical] flights: the loss on labelled predictions has risen"
    assert mail["Bcc"] is None
    body = mail.get_content()
    assert f"https://kept.example.org/alerts/{alert.id}" in body
    assert "causes: x: it moved Bcc: all@example.org; y" in body
    assert notices(there, me, alert.id)[0].delivered_at == NOON


def test_mail_goes_sealed_and_only_to_a_server_that_is_known(
    workspace: Workspace, me: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    post = MailServer(certificate)
    try:
        there = by_mail(workspace, post.port, smtp_security="starttls")
        alert = raise_alert(there, me, DECAY)
        assert deliver(there) == 0
        assert "CERTIFICATE_VERIFY_FAILED" in (notices(there, me, alert.id)[0].error or "")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        later = replace(there, clock=ManualClock(NOON + timedelta(minutes=1)))
        assert deliver(later) == 1
        assert post.took[0][2]
    finally:
        post.stop()


def test_a_server_that_cannot_seal_gets_nothing(workspace: Workspace, me: Actor, post: MailServer) -> None:
    there = by_mail(workspace, post.port, smtp_security="starttls")
    alert = raise_alert(there, me, DECAY)
    assert deliver(there) == 0
    assert "STARTTLS" in (notices(there, me, alert.id)[0].error or "")
    assert post.took == []


def test_a_mail_that_is_refused_is_tried_again(workspace: Workspace, me: Actor, post: MailServer) -> None:
    there = by_mail(workspace, post.port)
    alert = raise_alert(there, me, DECAY)
    post.refuses = True
    assert deliver(there) == 0
    (notice,) = notices(there, me, alert.id)
    assert "nobody here" in (notice.error or "")
    assert notice.next_at == NOON + timedelta(seconds=1)
    post.refuses = False
    assert deliver(replace(there, clock=ManualClock(NOON + timedelta(seconds=1)))) == 1


def test_the_owner_of_the_project_is_told_where_there_is_an_address(
    workspace: Workspace, me: Actor, post: MailServer, tmp_path: Path
) -> None:
    there = by_mail(workspace, post.port, alert_email="owner, ops@example.org")
    (tmp_path / "project.py").write_text("")
    for name, owner in (("flights", "ada@example.org"), ("trains", "the railway team")):
        project = Project(name, question="Late?", owner=owner, objectives=[at_least("roc_auc", 0.6)])
        ensure_registered(there, me, project, tmp_path / "project.py")
        raise_alert(there, me, msgspec.structs.replace(DECAY, project=name, endpoint=name))
    (of_flights,) = list_incidents(there, me, ListIncidents(endpoint="flights"))
    acknowledge(there, me, Acknowledge(incident=of_flights.id, owner="bob"))
    assert deliver(there) == 3
    assert sorted(to for to, _, _ in post.took) == ["ada@example.org", "ops@example.org", "ops@example.org"]


def test_one_receiver_that_is_away_keeps_no_other_waiting(workspace: Workspace, me: Actor, post: MailServer) -> None:
    there = by_mail(
        workspace, post.port, webhook_url="http://127.0.0.1:9/none", alert_email="a@example.org b@example.org"
    )
    alert = raise_alert(there, me, DECAY)
    assert places_owed(there, but=["email:2"], limit=9) == ["email:1", "webhook"]
    assert deliver(there) == 2
    left = [one for one in notices(there, me, alert.id) if one.delivered_at is None]
    assert [one.target for one in left] == ["webhook"]


def test_a_notice_of_old_that_names_its_address_goes_to_the_webhook(workspace: Workspace, me: Actor) -> None:
    with receiving() as receiver:
        alert = raise_alert(workspace, me, DECAY)
        with workspace.database.writing() as connection:
            insert_notice(connection, Notice(id="n", alert_id=alert.id, target="https://old.example.org", next_at=NOON))
        there = configured(workspace, ManualClock(NOON), webhook_url=receiver.url)
        assert deliver(there) == 1
        assert deliver(there) == 0
        assert msgspec.json.decode(receiver.got[0].body)["id"] == alert.id


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/", "https://", "no address", "http://[::1"])
def test_an_address_that_is_none_is_told_as_trouble(workspace: Workspace, me: Actor, url: str) -> None:
    there = configured(workspace, ManualClock(NOON), webhook_url=url)
    alert = raise_alert(there, me, DECAY)
    assert deliver(there) == 0
    (notice,) = notices(there, me, alert.id)
    assert notice.error
    assert notice.next_at == NOON + timedelta(seconds=1)


def test_what_was_taken_by_one_carrier_no_other_tries_until_it_is_lost(workspace: Workspace, me: Actor) -> None:
    there = configured(workspace, ManualClock(NOON), webhook_url="http://127.0.0.1:9/none")
    raise_alert(there, me, DECAY)
    first = deliver_notice(there, "webhook")
    assert first is not None
    assert first.attempts == 1
    assert deliver_notice(there, "webhook") is None
    assert deliver_notice(there, "email:1") is None


def test_an_escalation_is_an_event_of_its_own(workspace: Workspace, me: Actor) -> None:
    clock = ManualClock(NOON)
    with receiving() as first, receiving() as second:
        there = configured(workspace, clock, webhook_url=first.url, alert_escalation=second.url)
        alert = raise_alert(there, me, DECAY)
        assert deliver(there) == 1
        clock.advance(timedelta(minutes=30))
        assert (tell_due(there), deliver(there)) == (1, 1)
        event = msgspec.json.decode(second.got[0].body)
        assert event["id"] == f"{alert.id}:escalation:1"
        assert event["data"]["link"] == f"http://127.0.0.1:8700/alerts/{alert.id}"
        assert msgspec.json.decode(first.got[0].body)["id"] == alert.id


@with_apprise
@pytest.mark.filterwarnings(IMGHDR)
def test_chats_are_written_to_through_apprise(workspace: Workspace, me: Actor) -> None:
    with receiving() as chat:
        url = chat.url.replace("http://", "json://")
        there = configured(workspace, ManualClock(NOON), alert_chat=url)
        alert = raise_alert(there, me, DECAY)
        assert deliver(there) == 1
        said = msgspec.json.decode(chat.got[0].body)
        assert said["title"] == "[critical] flights: the loss on labelled predictions has risen"
        assert said["type"] == "failure"
        assert alert.id in said["message"]


@with_apprise
@pytest.mark.filterwarnings(IMGHDR)
def test_a_chat_that_is_away_or_unknown_is_tried_again_and_its_secret_is_not_told(
    workspace: Workspace, me: Actor
) -> None:
    there = configured(workspace, ManualClock(NOON), alert_chat="json://127.0.0.1:9/s3cret nothing://s3cret")
    alert = raise_alert(there, me, DECAY)
    assert deliver(there) == 0
    away, unknown = notices(there, me, alert.id)
    assert "did not take it" in (away.error or "")
    assert "none that Apprise knows" in (unknown.error or "")
    assert "s3cret" not in f"{away}{unknown}"


def test_the_courier_carries_alerts(workspace: Workspace, me: Actor) -> None:
    with receiving() as receiver:
        there = configured(workspace, ManualClock(NOON), webhook_url=receiver.url, poll_seconds=0.01)
        courier = Courier(there)
        courier.start()
        try:
            alert = raise_alert(there, me, DECAY)
            receiver.wait(1)
        finally:
            courier.stop()
        assert msgspec.json.decode(receiver.got[0].body)["id"] == alert.id


def test_nobody_is_left_to_tell_once_somebody_answers(workspace: Workspace, me: Actor) -> None:
    clock = ManualClock(NOON)
    there = configured(workspace, clock, alert_escalation="mailto:lead@example.org")
    alert = raise_alert(there, me, DECAY)
    acknowledge(there, me, Acknowledge(incident=alert.id))
    clock.advance(timedelta(days=1))
    assert tell_due(there) == 0


def test_what_a_removed_receiver_is_owed_is_given_up_after_a_day(workspace: Workspace, me: Actor) -> None:
    clock = ManualClock(NOON)
    two = configured(workspace, clock, alert_email="ops@example.org old@example.org")
    alert = raise_alert(two, me, DECAY)
    one = configured(workspace, clock, alert_email="ops@example.org")
    clock.advance(timedelta(hours=23))
    assert give_up_removed(one) == 0
    clock.advance(timedelta(hours=2))
    assert give_up_removed(two) == 0
    assert give_up_removed(one) == 1
    there, gone = notices(one, me, alert.id)
    assert (there.target, there.next_at, there.error) == ("email:1", NOON, None)
    assert (gone.target, gone.next_at, gone.delivered_at) == ("email:2", None, None)
    assert gone.error == "given up: the receiver is no longer in the settings"


def test_receivers_are_read_from_the_settings() -> None:
    settings = Settings(
        webhook_url="https://a",
        alert_email="a@b,c@d",
        alert_chat="slack://t matrix://m",
        alert_escalation="mailto:e@f tgram://x https://g",
    )
    first, *later = groups(settings)
    assert [(one.place, one.kind, one.address) for one in first] == [
        ("webhook", "webhook", "https://a"),
        ("email:1", "email", "a@b"),
        ("email:2", "email", "c@d"),
        ("chat:1", "chat", "slack://t"),
        ("chat:2", "chat", "matrix://m"),
    ]
    assert [(one.kind, one.address) for group in later for one in group] == [
        ("email", "e@f"),
        ("chat", "tgram://x"),
        ("webhook", "https://g"),
    ]


def end(place: Workspace, me: Actor, incident: str) -> None:
    resolve(place, me, Resolve(incident=incident, reason="a new\r\nsensor"))


def test_whoever_was_told_is_told_once_that_it_is_over(workspace: Workspace, me: Actor, post: MailServer) -> None:
    clock = ManualClock(NOON)
    with receiving() as hook, receiving() as later:
        there = replace(
            by_mail(workspace, post.port, webhook_url=hook.url, alert_escalation=later.url, webhook_secret="s"),
            clock=clock,
        )
        told, quiet = (
            raise_alert(there, me, DECAY),
            raise_alert(there, me, msgspec.structs.replace(DECAY, title="more")),
        )
        for _ in range(120):
            raise_alert(there, me, DECAY)
        assert deliver(there) == 4
        clock.advance(timedelta(minutes=30))
        acknowledge(there, me, Acknowledge(incident=quiet.id))
        assert (tell_due(there), deliver(there)) == (1, 1)
        mute(there, me, MuteAlerts(endpoint="flights", length="8h", reason="night"))
        end(there, me, told.id)
        assert deliver(there) == 3
        assert deliver(there) == 0
        assert [one.about for one in notices(there, me, told.id)] == ["raised"] * 3 + ["resolved"] * 3
        over, escalated = (msgspec.json.decode(one.got[-1].body) for one in (hook, later))
        assert (over["id"], over["type"]) == (f"{told.id}:resolved", "kept.resolved.decay")
        assert over["time"] == over["data"]["resolved_at"] == "2026-04-01T12:30:00Z"
        assert (over["data"]["incident"], over["data"]["resolution"]) == (told.id, "a new\r\nsensor")
        assert escalated["id"] == f"{told.id}:resolved:escalation:1"
    mail = message_from_string(post.took[-1][1], policy=default)
    assert mail["Subject"] == "[resolved] flights: the loss on labelled predictions has risen"
    assert "It was raised 121 times, first at 2026-04-01T12:00:00Z." in mail.get_content()
    assert "Resolved at 2026-04-01T12:30:00Z by ada: a new sensor." in mail.get_content()


def test_the_end_never_overtakes_the_beginning(workspace: Workspace, me: Actor) -> None:
    clock = ManualClock(NOON)
    with receiving() as hook:
        there = configured(workspace, clock, webhook_url=hook.url)
        hook.statuses = [503, 503]
        alert = raise_alert(there, me, DECAY)
        assert deliver(there) == 0
        end(there, me, alert.id)
        assert deliver(there) == 0
        for seconds in (1, 2):
            clock.advance(timedelta(seconds=seconds))
            took = deliver(there)
        assert took == 2
        types = [msgspec.json.decode(one.body)["type"] for one in hook.got]
        assert types == ["kept.alert.decay"] * 3 + ["kept.resolved.decay"]


def test_nobody_hears_of_the_end_of_what_nobody_was_told_of(workspace: Workspace, me: Actor) -> None:
    there = configured(workspace, ManualClock(NOON), webhook_url="http://127.0.0.1:9/none")
    end(there, me, raise_alert(workspace, me, DECAY).id)
    mute(there, me, MuteAlerts(endpoint="flights", length="8h", reason="known"))
    alert = raise_alert(there, me, DECAY)
    end(there, me, alert.id)
    assert notices(there, me, alert.id) == ()


@with_apprise
@pytest.mark.filterwarnings(IMGHDR)
def test_a_chat_shows_an_end_as_a_success(workspace: Workspace, me: Actor) -> None:
    with receiving() as chat:
        url = chat.url.replace("http://", "json://")
        there = configured(workspace, ManualClock(NOON), alert_chat=url)
        alert = raise_alert(there, me, DECAY)
        end(there, me, alert.id)
        assert deliver(there) == 2
        said = msgspec.json.decode(chat.got[1].body)
        assert (said["type"], said["title"].split("]")[0]) == ("success", "[resolved")
