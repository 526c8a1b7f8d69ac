import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from kept.core.errors import Forbidden
from kept.governance.actor import Actor, Permission
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Alert, Notice
from kept.monitoring.alerts import ListAlerts, RaiseAlert, list_alerts, raise_alert
from kept.monitoring.incidents import ShowIncident, show_incident
from kept.monitoring.notify import SIGNATURE_HEADER, deliver, sign
from kept.testing.manual_clock import ManualClock

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
DRIFT = RaiseAlert(
    project="flights",
    endpoint="flights",
    kind="drift",
    severity="warning",
    title="the inputs have drifted",
    evidence={"budget": "at most one false alarm in 90 days"},
    version_id="v1",
    event_time=NOON,
)


class Receiver:
    """A webhook on this machine that can be told how to answer."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.stop()


def with_webhook(workspace: Workspace, url: str, clock: ManualClock) -> Workspace:
    settings = msgspec.structs.replace(workspace.settings, webhook_url=url, webhook_secret="s3cret")
    return replace(workspace, settings=settings, clock=clock)


def test_an_alert_is_listed_and_in_the_audit_chain(workspace: Workspace, me: Actor) -> None:
    alert = raise_alert(workspace, me, DRIFT)
    assert list_alerts(workspace, me, ListAlerts(endpoint="flights")) == [alert]
    assert list_alerts(workspace, me, ListAlerts(endpoint="others")) == []
    assert list_alerts(workspace, me, ListAlerts(since=NOON)) == []
    assert list_alerts(workspace, me, ListAlerts(since=NOON - timedelta(seconds=1))) == [alert]
    (entry,) = list_audit(workspace, me, ListAudit(action="monitoring.raise"))
    assert entry.details["request"]["evidence"] == DRIFT.evidence


def test_the_notice_is_signed_and_names_its_alert(workspace: Workspace, me: Actor, receiver: Receiver) -> None:
    there = with_webhook(workspace, receiver.url, ManualClock(NOON))
    alert = raise_alert(there, me, DRIFT)
    assert deliver(there) == 1
    assert deliver(there) == 0
    ((headers, body),) = receiver.got
    moment = headers[SIGNATURE_HEADER].split(",", maxsplit=1)[0].removeprefix("t=")
    assert headers[SIGNATURE_HEADER] == sign("s3cret", moment, body)
    event = msgspec.json.decode(body)
    assert event["id"] == alert.id
    assert event["type"] == "kept.alert.drift"
    assert event["data"]["evidence"] == DRIFT.evidence


def notices(workspace: Workspace, me: Actor, alert: Alert) -> tuple[Notice, ...]:
    return show_incident(workspace, me, ShowIncident(incident=alert.id)).notices


def test_nothing_is_lost_while_the_receiver_is_down(workspace: Workspace, me: Actor, receiver: Receiver) -> None:
    clock = ManualClock(NOON)
    there = with_webhook(workspace, "http://127.0.0.1:9/none", clock)
    titles = ["the inputs have drifted", "the loss has risen", "there are no predictions"]
    alerts = [raise_alert(there, me, msgspec.structs.replace(DRIFT, title=title)) for title in titles]
    waits = []
    for _ in range(15):
        assert deliver(there) == 0
        waits.append([notice.attempts for alert in alerts for notice in notices(there, me, alert)])
        clock.advance(timedelta(hours=1))
    assert sum(waits[-1]) == 15
    back = with_webhook(workspace, receiver.url, clock)
    receiver.status = 503
    assert deliver(back) == 0
    receiver.status = 200
    clock.advance(timedelta(hours=1))
    assert deliver(back) == 3
    assert {msgspec.json.decode(body)["id"] for _, body in receiver.got} == {alert.id for alert in alerts}


def test_a_notice_waits_longer_after_each_failure(workspace: Workspace, me: Actor) -> None:
    clock = ManualClock(NOON)
    there = with_webhook(workspace, "http://127.0.0.1:9/none", clock)
    alert = raise_alert(there, me, DRIFT)
    waits = []
    for _ in range(14):
        deliver(there)
        (notice,) = notices(there, me, alert)
        assert notice.next_at is not None
        assert notice.error is not None
        waits.append(notice.next_at - clock.now())
        clock.set(notice.next_at)
    assert waits[:3] == [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4)]
    assert waits[-1] == timedelta(hours=1)


def test_without_a_webhook_there_is_no_notice(workspace: Workspace, me: Actor) -> None:
    alert = raise_alert(workspace, me, DRIFT)
    assert notices(workspace, me, alert) == ()
    assert deliver(workspace) == 0


def test_who_may_only_look_raises_nothing(workspace: Workspace) -> None:
    viewer = Actor(name="eve", origin="api", permissions=frozenset({Permission.VIEW}))
    with pytest.raises(Forbidden):
        raise_alert(workspace, viewer, DRIFT)
