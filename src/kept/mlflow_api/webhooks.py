"""Endpoints of webhooks."""

from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import (
    Done,
    OneWebhook,
    TryAnswer,
    Webhooks,
    WebhookTried,
    webhook_answer,
)
from kept.mlflow_api.call import Call, choice
from kept.mlflow_api.errors import NOT_IMPLEMENTED, Refused, invalid
from kept.registry import webhook as asked
from kept.registry import webhooks as verbs
from kept.registry.webhook import Event, WebhookStatus

_PAGE = 100
_STATUS = {1: ("ACTIVE", WebhookStatus.ACTIVE), 2: ("DISABLED", WebhookStatus.DISABLED)}
_ENTITIES = (
    "registered_model",
    "model_version",
    "model_version_tag",
    "model_version_alias",
    "prompt",
    "prompt_version",
    "prompt_tag",
    "prompt_version_tag",
    "prompt_alias",
    "budget_policy",
)
_ENTITY = {number: (name.upper(), name) for number, name in enumerate(_ENTITIES, start=1)}
_ACTION = {
    number: (name.upper(), name)
    for number, name in enumerate(("created", "updated", "deleted", "set", "exceeded"), start=1)
}
_ABSENT_ENTITIES = {name for name in _ENTITIES if name.startswith(("prompt", "budget"))}


def create(call: Call, request: sent.CreateWebhook) -> OneWebhook:
    """Makes a webhook."""
    asking = asked.CreateWebhook(
        name=request.name,
        url=request.url,
        events=[_event(one) for one in request.events],
        description=request.description or None,
        secret=request.secret or None,
        status=choice("status", request.status, _STATUS) if request.status else WebhookStatus.ACTIVE,
    )
    return OneWebhook(webhook_answer(call.do(verbs.create_webhook, asking)))


def get(call: Call, request: sent.OfWebhook) -> OneWebhook:
    """A webhook."""
    return OneWebhook(webhook_answer(call.do(verbs.show_webhook, asked.OfWebhook(webhook=request.webhook_id))))


def search(call: Call, request: sent.ListWebhooks) -> Webhooks:
    """A page of webhooks."""
    asking = asked.ListWebhooks(limit=request.max_results or _PAGE, page=request.page_token or None)
    page = call.do(verbs.list_webhooks, asking)
    return Webhooks([webhook_answer(one) for one in page.webhooks], page.next_page)


def update(call: Call, request: sent.UpdateWebhook) -> OneWebhook:
    """Changes a webhook."""
    asking = asked.UpdateWebhook(
        webhook=request.webhook_id,
        name=request.name or None,
        url=request.url or None,
        events=[_event(one) for one in request.events] if request.events else None,
        description=request.description,
        secret=request.secret,
        status=choice("status", request.status, _STATUS) if request.status else None,
    )
    return OneWebhook(webhook_answer(call.do(verbs.update_webhook, asking)))


def delete(call: Call, request: sent.OfWebhook) -> Done:
    """Removes a webhook."""
    call.do(verbs.delete_webhook, asked.OfWebhook(webhook=request.webhook_id))
    return Done()


def test(call: Call, request: sent.TestWebhook) -> WebhookTried:
    """Sends a webhook an example."""
    event = _event(request.event) if request.event else None
    tried = call.do(verbs.try_webhook, asked.TryWebhook(webhook=request.webhook_id, event=event))
    return WebhookTried(TryAnswer(tried.taken, tried.answered, tried.body or None, tried.error))


def _event(pair: sent.EventSent) -> Event:
    entity = choice("entity", pair.entity, _ENTITY)
    action = choice("action", pair.action, _ACTION)
    if entity in _ABSENT_ENTITIES:
        what = f"Webhooks of {entity} events"
        raise Refused(NOT_IMPLEMENTED, f"{what} are not kept here: Kept keeps experiments and models.")
    valid = [event.value.partition(".")[2] for event in Event if event.value.partition(".")[0] == entity]
    if action not in valid:
        raise invalid(f"Invalid action '{action}' for entity '{entity}'. Valid actions are: {sorted(valid)}")
    return Event(f"{entity}.{action}")
