"""Sending webhooks what they are owed, signed, again and again until the receiver has taken it."""

import base64
import hashlib
import hmac
from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec

from kept.core.errors import Forbidden, KeptError, Unavailable
from kept.core.retrying import wait_after
from kept.governance.workspace import Workspace
from kept.registry.records.webhooks import claim_next, forget_deliveries, postpone, save_delivery, webhooks_due
from kept.registry.sealing import unsealed
from kept.registry.webhook import Delivery, Parcel
from kept.registry.webhook_posting import Answer, again_after, post

# The headers that receivers of MLflow's webhooks read.
ID_HEADER = "X-MLflow-Delivery-Id"
SIGNATURE_HEADER = "X-MLflow-Signature"
TIME_HEADER = "X-MLflow-Timestamp"

_AGAIN = {408, 425, 429}
_GIVEN_UP_AFTER = timedelta(days=3)
_KEPT_FOR = timedelta(days=7)
_LONGEST_ASKED_SECONDS = 3_600.0
# Beyond the time that an attempt may take: so much later it counts as lost.
_SPARE = timedelta(seconds=5)


def webhooks_owed(workspace: Workspace, *, but: Collection[str], limit: int) -> list[str]:
    """The ids of webhooks, other than these, that something is to be sent to now."""
    with workspace.database.reading() as connection:
        return webhooks_due(connection, workspace.clock.now(), but=but, limit=limit)


def deliver_next(workspace: Workspace, webhook_id: str) -> Delivery | None:
    """Tries the oldest delivery of a webhook that is due, and gives it as it stands then; None when none is due.

    A receiver that is away, or answers 408, 425, 429 or 5xx, gets it again after 1 s, 2 s, 4 s, ... and at last every
    hour, for three days; `Retry-After` is heeded. Every other answer but 2xx ends it. While a receiver is away its other
    deliveries wait, too. It may get one twice (its answer can be lost): the id is the same then.
    """
    seconds = workspace.settings.webhook_timeout_seconds
    now = workspace.clock.now()
    with workspace.database.writing() as connection:
        parcel = claim_next(connection, webhook_id, now, now + timedelta(seconds=seconds) + _SPARE)
    if parcel is None:
        return None
    answer, error, away = None, None, False
    try:
        answer = _send(workspace, parcel)
    except Unavailable as fault:
        error, away = str(fault), True
    except Forbidden as fault:
        error = str(fault)
    except KeptError as fault:  # the secret can not be read: that can be mended
        error, away = str(fault), True
    done = _after(parcel.delivery, answer, error, workspace.clock.now(), away=away)
    with workspace.database.writing() as connection:
        save_delivery(connection, done)
        if away and done.next_at is not None:
            postpone(connection, webhook_id, done.next_at)
    return done


def send(workspace: Workspace, url: str, secret: str | None, delivery_id: str, body: str) -> Answer:
    """Posts a body under the id of its delivery, signed when there is a secret."""
    raw = body.encode()
    moment = str(int(workspace.clock.now().timestamp()))
    headers = {"Content-Type": "application/json", ID_HEADER: delivery_id, TIME_HEADER: moment}
    if secret:
        headers[SIGNATURE_HEADER] = signature(secret, delivery_id, moment, raw)
    settings = workspace.settings
    return post(url, raw, headers, seconds=settings.webhook_timeout_seconds, private=settings.webhook_private)


def signature(secret: str, delivery_id: str, moment: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 with the secret over the id, the seconds since 1970 and the body.

    Full stops stand between the three. The time is that of the attempt, so that a receiver can refuse an old message
    that somebody sends again.
    """
    code = hmac.new(secret.encode(), f"{delivery_id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(code).decode()}"


def forget_old(workspace: Workspace) -> None:
    """Forgets what was delivered or given up more than a week ago."""
    with workspace.database.writing() as connection:
        forget_deliveries(connection, workspace.clock.now() - _KEPT_FOR)


def _send(workspace: Workspace, parcel: Parcel) -> Answer:
    secret = unsealed(parcel.secret, workspace.settings.webhook_encryption_key)
    return send(workspace, parcel.url, secret, parcel.delivery.id, parcel.delivery.body)


def _after(delivery: Delivery, answer: Answer | None, error: str | None, now: datetime, *, away: bool) -> Delivery:
    status = answer.status if answer else None
    if status is not None and 200 <= status < 300:
        return msgspec.structs.replace(
            delivery, state="delivered", answered=status, next_at=None, ended_at=now, error=None
        )
    said = error or f"the receiver answered {status}"
    again = away or (status is not None and (status in _AGAIN or status >= 500))
    if not again or now - delivery.created_at > _GIVEN_UP_AFTER:
        return msgspec.structs.replace(
            delivery, state="failed", answered=status, next_at=None, ended_at=now, error=said
        )
    asked = again_after(answer.again_after if answer else None, now.timestamp())
    wait = max(wait_after(delivery.attempts), timedelta(seconds=min(asked, _LONGEST_ASKED_SECONDS)))
    return msgspec.structs.replace(delivery, answered=status, next_at=now + wait, error=said)
