"""Carrying alerts to a webhook: from an outbox, signed, again and again until the receiver has taken them."""

import hashlib
import hmac
from datetime import datetime

import httpx
import msgspec

from kept.core.clock import format_time
from kept.core.digests import canonical_json
from kept.core.retrying import wait_after
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Alert, Notice
from kept.monitoring.records import due_notices, find_alert, save_notice

SIGNATURE_HEADER = "Kept-Signature"

# A receiver that hangs holds its sender up for so long, once for each growing wait.
_TIMEOUT_SECONDS = 2.0


def deliver(workspace: Workspace, *, limit: int = 20) -> int:
    """Posts the notices that are due to the configured webhook and gives the number taken.

    A receiver that is away or answers with an error gets the same notice again after 1 s, 2 s, 4 s, ... and at last
    every hour; none is given up. It may get one twice (its answer can be lost): the event's `id` is the same then.
    The address that is configured now is called, whatever it was when the alert was raised.
    """
    target = workspace.settings.webhook_url
    if not target:
        return 0
    with workspace.database.reading() as connection:
        due = due_notices(connection, workspace.clock.now(), limit)
        alerts = [find_alert(connection, notice.alert_id) for notice in due]
    taken = 0
    for notice, alert in zip(due, alerts, strict=True):
        if alert is None:
            continue
        error = _post(target, alert, workspace.settings.webhook_secret, workspace.clock.now())
        with workspace.database.writing() as connection:
            save_notice(connection, _after_try(notice, target, error, workspace.clock.now()))
        if error is not None:
            # The others wait for the next call: a receiver that hangs must not hold up the caller for each of them.
            break
        taken += 1
    return taken


def event_of(alert: Alert) -> bytes:
    """The alert as a CloudEvent 1.0 in structured JSON."""
    return canonical_json(
        {
            "specversion": "1.0",
            "id": alert.id,
            "source": f"/kept/endpoints/{alert.endpoint}",
            "type": f"kept.alert.{alert.kind}",
            "time": format_time(alert.at),
            "datacontenttype": "application/json",
            "data": alert,
        }
    )


def sign(secret: str, moment: str, body: bytes) -> str:
    """`t=TIME,v1=HEX`: HMAC-SHA256 with the shared secret over the time, a full stop and the body.

    The time is signed too, so that a receiver can refuse an old message that somebody sends again.
    """
    code = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={code}"


def _post(target: str, alert: Alert, secret: str, now: datetime) -> str | None:
    """None when the receiver took it, else what went wrong."""
    body = event_of(alert)
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    if secret:
        headers[SIGNATURE_HEADER] = sign(secret, format_time(now), body)
    try:
        answer = httpx.post(target, content=body, headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{type(error).__name__}: {error}"
    return None if answer.is_success else f"the receiver answered {answer.status_code}"


def _after_try(notice: Notice, target: str, error: str | None, now: datetime) -> Notice:
    attempts = notice.attempts + 1
    if error is None:
        return msgspec.structs.replace(
            notice, target=target, attempts=attempts, next_at=None, delivered_at=now, error=None
        )
    return msgspec.structs.replace(
        notice, target=target, attempts=attempts, next_at=now + wait_after(attempts), error=error
    )
