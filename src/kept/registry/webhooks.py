"""Operations on webhooks: creating, finding, changing, testing and removing them."""

from datetime import timedelta
from typing import Any

from kept.core.errors import Invalid, KeptError, NotFound
from kept.core.ids import new_id
from kept.core.listing import list_limit
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.registry import webhook as asked
from kept.registry.announcing import EXAMPLES, body_of
from kept.registry.records import webhooks as records
from kept.registry.sealing import sealed, unsealed
from kept.registry.webhook import Delivery, Event, Tried, Webhook, Webhooks
from kept.registry.webhook_address import check_webhook_name, check_webhook_url
from kept.registry.webhook_delivery import send
from kept.tracking.paging import offset_of, token_of

_LARGEST_PAGE = 1_000
_SHOWN = 10_000
_MILLISECOND = timedelta(milliseconds=1)


def _check_new(workspace: Workspace, request: asked.CreateWebhook) -> None:
    check_webhook_name(request.name)
    _check_url(workspace, request.url)


def _check_changes(workspace: Workspace, request: asked.UpdateWebhook) -> None:
    find_webhook(workspace, request.webhook)
    if request.name is not None:
        check_webhook_name(request.name)
    if request.url is not None:
        _check_url(workspace, request.url)


@operation("webhooks.create", needs=Permission.ADMINISTER, on="name", before=_check_new)
def create_webhook(workspace: Workspace, actor: Actor, request: asked.CreateWebhook) -> Webhook:
    """Makes a webhook. From now on it is told of its events; what is sent is signed when it has a secret."""
    del actor
    now = workspace.clock.now()
    webhook = Webhook(
        id=new_id(),
        name=request.name,
        url=request.url,
        events=_events(request.events),
        description=request.description,
        status=request.status,
        signed=bool(request.secret),
        created_at=now,
        updated_at=now,
    )
    with workspace.database.writing() as connection:
        secret = sealed(request.secret, workspace.settings.webhook_encryption_key)
        records.insert_webhook(connection, webhook, secret)
    return webhook


@operation("webhooks.show", needs=Permission.ADMINISTER, audit=Audit.READ)
def show_webhook(workspace: Workspace, actor: Actor, request: asked.OfWebhook) -> Webhook:
    """One webhook, without its secret."""
    del actor
    return find_webhook(workspace, request.webhook)


@operation("webhooks.list", needs=Permission.ADMINISTER, audit=Audit.READ)
def list_webhooks(workspace: Workspace, actor: Actor, request: asked.ListWebhooks) -> Webhooks:
    """A page of webhooks, newest first."""
    del actor
    if not 0 < request.limit <= _LARGEST_PAGE:
        raise Invalid("max_results must be between 1 and 1000.")
    offset = offset_of(request.page)
    with workspace.database.reading() as connection:
        found = records.webhooks_from(connection, offset=offset, limit=request.limit + 1)
    more = len(found) > request.limit
    return Webhooks(webhooks=found[: request.limit], next_page=token_of(offset + request.limit) if more else None)


@operation("webhooks.update", needs=Permission.ADMINISTER, on="webhook", before=_check_changes)
def update_webhook(workspace: Workspace, actor: Actor, request: asked.UpdateWebhook) -> Webhook:
    """Changes a webhook. What it is owed already goes to where it points when it is sent."""
    del actor
    changes: dict[str, Any] = {
        name: value for name in ("name", "url", "description") if (value := getattr(request, name)) is not None
    }
    if request.events is not None:
        changes["events"] = [event.value for event in _events(request.events)]
    if request.status is not None:
        changes["status"] = request.status.value
    if request.secret is not None:
        changes["secret"] = sealed(request.secret, workspace.settings.webhook_encryption_key)
    with workspace.database.writing() as connection:
        found = find_webhook(workspace, request.webhook)
        # Later in milliseconds, too, which is how clients count.
        at = max(workspace.clock.now(), found.updated_at + _MILLISECOND)
        records.change_webhook(connection, found.id, at, **changes)
    return find_webhook(workspace, request.webhook)


@operation("webhooks.delete", needs=Permission.ADMINISTER, on="webhook")
def delete_webhook(workspace: Workspace, actor: Actor, request: asked.OfWebhook) -> None:
    """Removes a webhook, with what it is still owed."""
    del actor
    with workspace.database.writing() as connection:
        records.delete_webhook_rows(connection, find_webhook(workspace, request.webhook).id)


@operation("webhooks.deliveries", needs=Permission.ADMINISTER, audit=Audit.READ)
def list_deliveries(workspace: Workspace, actor: Actor, request: asked.ListDeliveries) -> list[Delivery]:
    """What a webhook was sent within the last week and what it is owed, newest first."""
    del actor
    find_webhook(workspace, request.webhook)
    with workspace.database.reading() as connection:
        limit = list_limit(request.limit, where="deliveries")
        return records.deliveries_of(connection, request.webhook, limit)


@operation("webhooks.test", needs=Permission.ADMINISTER, audit=Audit.READ)
def try_webhook(workspace: Workspace, actor: Actor, request: asked.TryWebhook) -> Tried:
    """Sends a webhook an example, once, and tells what it answered. An entry tells that it was done."""
    webhook = find_webhook(workspace, request.webhook)
    event = request.event or webhook.events[0]
    # It waits for a stranger, so it is no transaction; that it was done is one.
    tried = _try(workspace, webhook, event)
    note = asked.NoteTry(webhook=webhook.id, event=event, answered=tried.answered, error=tried.error)
    note_try(workspace, actor, note)
    return tried


@operation("webhooks.note_test", needs=Permission.ADMINISTER, on="webhook", remote=False)
def note_try(workspace: Workspace, actor: Actor, request: asked.NoteTry) -> None:
    """Notes that an example was sent to a webhook, and what came of it."""
    del workspace, actor, request


def find_webhook(workspace: Workspace, webhook_id: str) -> Webhook:
    """The webhook; `NotFound` when there is none."""
    with workspace.database.reading() as connection:
        found = records.webhook_by_id(connection, webhook_id)
    if found is None:
        raise NotFound(f"Webhook with ID {webhook_id} not found.")
    return found


def _try(workspace: Workspace, webhook: Webhook, event: Event) -> Tried:
    with workspace.database.reading() as connection:
        stored = records.secret_of(connection, webhook.id)
    settings = workspace.settings
    try:
        _check_url(workspace, webhook.url)
        secret = unsealed(stored, settings.webhook_encryption_key)
        body = body_of(event, EXAMPLES[event], workspace.clock.now())
        answer = send(workspace, webhook.url, secret, new_id(), body)
    except KeptError as error:
        return Tried(taken=False, error=f"Failed to test webhook: {error}")
    return Tried(taken=answer.status < 400, answered=answer.status, body=answer.body[:_SHOWN])


def _check_url(workspace: Workspace, url: str) -> None:
    check_webhook_url(url, workspace.settings.webhook_schemes, private=workspace.settings.webhook_private)


def _events(events: list[Event]) -> tuple[Event, ...]:
    if not events:
        raise Invalid("Webhook events must be a non-empty list of WebhookEvent objects: [].")
    return tuple(dict.fromkeys(events))
