"""Rows of webhooks and of what they are owed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from kept.registry.webhook import Delivery, Event, Parcel, Webhook, WebhookStatus
from kept.store.rows import from_row, to_row
from kept.store.schema import webhook_deliveries, webhooks

_OWED = webhook_deliveries.c


def insert_webhook(connection: Connection, webhook: Webhook, secret: str | None) -> None:
    """Adds a webhook with its secret as it is to be stored."""
    row = {name: value for name, value in to_row(webhook).items() if name != "signed"}
    connection.execute(insert(webhooks).values(**row, secret=secret))


def webhook_by_id(connection: Connection, webhook_id: str) -> Webhook | None:
    """The webhook of this id."""
    row = connection.execute(select(webhooks).where(webhooks.c.id == webhook_id)).mappings().first()
    return _webhook(row) if row else None


def secret_of(connection: Connection, webhook_id: str) -> str | None:
    """The secret of a webhook as it is stored."""
    found: str | None = connection.execute(select(webhooks.c.secret).where(webhooks.c.id == webhook_id)).scalar()
    return found


def webhooks_from(connection: Connection, *, offset: int, limit: int) -> list[Webhook]:
    """Webhooks, newest first."""
    query = select(webhooks).order_by(webhooks.c.created_at.desc(), webhooks.c.id.desc()).offset(offset).limit(limit)
    return [_webhook(row) for row in connection.execute(query).mappings()]


def webhooks_for(connection: Connection, event: Event) -> list[str]:
    """The ids of active webhooks that ask for an event."""
    query = select(webhooks.c.id, webhooks.c.events).where(webhooks.c.status == WebhookStatus.ACTIVE.value)
    return [row.id for row in connection.execute(query.order_by(webhooks.c.id)) if event.value in row.events]


def change_webhook(connection: Connection, webhook_id: str, at: datetime, **changes: Any) -> None:
    """Changes columns of a webhook."""
    connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(updated_at=at, **changes))


def delete_webhook_rows(connection: Connection, webhook_id: str) -> None:
    """Removes a webhook with what it is still owed."""
    connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
    connection.execute(delete(webhook_deliveries).where(_OWED.webhook_id == webhook_id))


def insert_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Adds what webhooks are owed."""
    connection.execute(insert(webhook_deliveries), [to_row(one) for one in deliveries])


def webhooks_due(connection: Connection, now: datetime, *, but: Collection[str], limit: int) -> list[str]:
    """The ids of active webhooks, other than these, that something is to be sent to now."""
    active = select(webhooks.c.id).where(webhooks.c.status == WebhookStatus.ACTIVE.value)
    query = select(_OWED.webhook_id).where(
        _OWED.next_at <= now, _OWED.webhook_id.in_(active), _OWED.webhook_id.not_in(list(but))
    )
    return list(connection.execute(query.distinct().limit(limit)).scalars())


def claim_next(connection: Connection, webhook_id: str, now: datetime, until: datetime) -> Parcel | None:
    """Takes the oldest delivery of a webhook that is due, so that nobody else tries it until then."""
    query = select(webhook_deliveries).where(_OWED.webhook_id == webhook_id, _OWED.next_at <= now)
    query = query.order_by(_OWED.id).limit(1).with_for_update(skip_locked=True)
    row = connection.execute(query).mappings().first()
    to = select(webhooks.c.url, webhooks.c.secret).where(
        webhooks.c.id == webhook_id, webhooks.c.status == WebhookStatus.ACTIVE.value
    )
    target = connection.execute(to).first()
    if row is None or target is None:
        return None
    attempts = int(row["attempts"]) + 1
    connection.execute(update(webhook_deliveries).where(_OWED.id == row["id"]).values(attempts=attempts, next_at=until))
    delivery = from_row({**row, "attempts": attempts, "next_at": until}, Delivery)
    return Parcel(delivery=delivery, url=target.url, secret=target.secret)


def save_delivery(connection: Connection, delivery: Delivery) -> None:
    """Notes what came of an attempt."""
    row = {name: value for name, value in to_row(delivery).items() if name != "id"}
    connection.execute(update(webhook_deliveries).where(_OWED.id == delivery.id).values(**row))


def postpone(connection: Connection, webhook_id: str, until: datetime) -> None:
    """Lets everything that a webhook is owed wait until then at least."""
    query = update(webhook_deliveries).where(_OWED.webhook_id == webhook_id, _OWED.next_at < until)
    connection.execute(query.values(next_at=until))


def deliveries_of(connection: Connection, webhook_id: str, limit: int) -> list[Delivery]:
    """The deliveries of a webhook, newest first."""
    query = select(webhook_deliveries).where(_OWED.webhook_id == webhook_id).order_by(_OWED.id.desc()).limit(limit)
    return [from_row(row, Delivery) for row in connection.execute(query).mappings()]


def forget_deliveries(connection: Connection, before: datetime) -> None:
    """Removes what was delivered or given up before then."""
    connection.execute(delete(webhook_deliveries).where(_OWED.ended_at < before))


def _webhook(row: Any) -> Webhook:
    return from_row({**row, "signed": bool(row["secret"])}, Webhook)
