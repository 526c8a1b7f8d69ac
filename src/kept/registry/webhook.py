"""A webhook of the registry: an address that is told of what happens to models, and what it is owed."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from kept.registry.webhook_address import HIDDEN, without_user


class Event(StrEnum):
    """What a webhook can be told of: the thing, a full stop and what was done to it."""

    MODEL_CREATED = "registered_model.created"
    VERSION_CREATED = "model_version.created"
    VERSION_TAG_SET = "model_version_tag.set"
    VERSION_TAG_DELETED = "model_version_tag.deleted"
    ALIAS_CREATED = "model_version_alias.created"
    ALIAS_DELETED = "model_version_alias.deleted"


class WebhookStatus(StrEnum):
    """Whether a webhook is told anything."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An address and what it is told of. Its secret is never shown."""

    id: str
    name: str
    url: str
    events: tuple[Event, ...]
    description: str | None
    status: WebhookStatus
    signed: bool
    """Whether it has a secret, with which what is sent is signed."""
    created_at: datetime
    updated_at: datetime


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook is told of one event, from the change until the receiver has taken it."""

    id: str
    """Goes with every attempt: a receiver knows by it what it has had before."""
    webhook_id: str
    event: Event
    body: str
    state: Literal["waiting", "delivered", "failed"] = "waiting"
    attempts: int = 0
    next_at: datetime | None
    """When it is tried next; while it is tried, when that attempt counts as lost."""
    answered: int | None = None
    """The HTTP status of the last answer."""
    error: str | None = None
    created_at: datetime
    ended_at: datetime | None = None


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is to be tried now, with where it goes."""

    delivery: Delivery
    url: str
    secret: str | None
    """As it is stored."""


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """A page of webhooks."""

    webhooks: list[Webhook]
    next_page: str | None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of sending an example to a webhook."""

    taken: bool
    answered: int | None = None
    """The HTTP status of the answer; None when there was none."""
    body: str | None = None
    error: str | None = None
    """Why there was no answer."""


class CreateWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that is to be told of events. With a secret, what is sent is signed."""

    name: str
    url: str
    events: list[Event]
    description: str | None = None
    secret: str | None = None
    status: WebhookStatus = WebhookStatus.ACTIVE

    def for_audit(self) -> dict[str, Any]:
        """What an entry tells of it: nothing that is secret."""
        return _without_secrets(self)


class UpdateWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a webhook; what is None stays. An empty secret takes the signature away."""

    webhook: str
    name: str | None = None
    url: str | None = None
    events: list[Event] | None = None
    description: str | None = None
    secret: str | None = None
    status: WebhookStatus | None = None

    def for_audit(self) -> dict[str, Any]:
        """What an entry tells of it: nothing that is secret."""
        return _without_secrets(self)


class OfWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One webhook, by its id."""

    webhook: str


class ListWebhooks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Webhooks, newest first."""

    limit: int = 100
    page: str | None = None


class TryWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook that is sent an example of one of its events, or of the event named."""

    webhook: str
    event: Event | None = None


class NoteTry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That an example was sent to a webhook, and what came of it."""

    webhook: str
    event: Event
    answered: int | None
    error: str | None


class ListDeliveries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest deliveries of a webhook."""

    webhook: str
    limit: int = 50


def _without_secrets(request: CreateWebhook | UpdateWebhook) -> dict[str, Any]:
    """A request without its secret, and without the user and password that an address may hold."""
    fields = msgspec.structs.asdict(request)
    if request.secret:
        fields["secret"] = HIDDEN
    if request.url is not None:
        fields["url"] = without_user(request.url)
    return fields
