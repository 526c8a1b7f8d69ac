"""Queuing webhook events: written in the transaction of the change that they are about."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from kept.core.ids import new_ids
from kept.registry.records.webhooks import insert_deliveries, webhooks_for
from kept.registry.registered import RegisteredModel, RegisteredVersion
from kept.registry.webhook import Delivery, Event

EXAMPLES: Mapping[Event, Mapping[str, Any]] = {
    Event.MODEL_CREATED: {
        "name": "example_model",
        "tags": {"example_key": "example_value"},
        "description": "An example registered model",
    },
    Event.VERSION_CREATED: {
        "name": "example_model",
        "version": "1",
        "source": "models:/123",
        "run_id": "abcd1234abcd5678",
        "tags": {"example_key": "example_value"},
        "description": "An example model version",
    },
    Event.VERSION_TAG_SET: {
        "name": "example_model",
        "version": "1",
        "key": "example_key",
        "value": "example_value",
    },
    Event.VERSION_TAG_DELETED: {"name": "example_model", "version": "1", "key": "example_key"},
    Event.ALIAS_CREATED: {"name": "example_model", "alias": "example_alias", "version": "1"},
    Event.ALIAS_DELETED: {"name": "example_model", "alias": "example_alias"},
}
"""What a webhook is sent to try it; each field is one that the event has."""


def announce(connection: Connection, event: Event, data: Mapping[str, Any], at: datetime) -> None:
    """Notes for every active webhook that asks for the event that it is owed word of it."""
    asking = webhooks_for(connection, event)
    if not asking:
        return
    body = body_of(event, data, at)
    insert_deliveries(
        connection,
        [
            Delivery(id=key, webhook_id=webhook, event=event, body=body, next_at=at, created_at=at)
            for key, webhook in zip(new_ids(len(asking)), asking, strict=True)
        ],
    )


def announce_model(connection: Connection, model: RegisteredModel) -> None:
    """A registered model was made."""
    data = {"name": model.name, "tags": model.tags, "description": model.description}
    announce(connection, Event.MODEL_CREATED, data, model.created_at)


def announce_version(connection: Connection, version: RegisteredVersion) -> None:
    """A version was registered."""
    data = {
        "name": version.model,
        "version": str(version.number),
        "source": version.source,
        "run_id": version.run_id or None,
        "tags": version.tags,
        "description": version.description or None,
    }
    announce(connection, Event.VERSION_CREATED, data, version.created_at)


def announce_alias(connection: Connection, model: str, alias: str, number: int, at: datetime) -> None:
    """An alias was pointed to a version."""
    announce(connection, Event.ALIAS_CREATED, {"name": model, "alias": alias, "version": str(number)}, at)


def announce_no_alias(connection: Connection, model: str, alias: str, at: datetime) -> None:
    """An alias was taken away."""
    announce(connection, Event.ALIAS_DELETED, {"name": model, "alias": alias}, at)


def body_of(event: Event, data: Mapping[str, Any], at: datetime) -> str:
    """What is sent, as JSON."""
    entity, _, action = event.value.partition(".")
    told = {"entity": entity, "action": action, "timestamp": at.isoformat(), "data": data}
    return msgspec.json.encode(told).decode()
