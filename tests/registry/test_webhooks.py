import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kept.app.courier import carrying
from kept.core.errors import Forbidden, Invalid, NotFound, Unavailable
from kept.governance.actor import Actor, Permission
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.registry import registered_models as models
from kept.registry import registered_versions as versions
from kept.registry import requests as asked
from kept.registry import webhooks
from kept.registry.catalog import DropAlias, SetAlias, drop_alias, set_alias
from kept.registry.webhook import (
    CreateWebhook,
    Delivery,
    Event,
    ListDeliveries,
    ListWebhooks,
    OfWebhook,
    TryWebhook,
    UpdateWebhook,
    Webhook,
    WebhookStatus,
)
from kept.registry.webhook_address import is_public
from kept.registry.webhook_delivery import deliver_next, forget_old, webhooks_owed
from kept.registry.webhook_posting import post
from kept.testing.manual_clock import ManualClock
from webhook_receiver import WebhookReceiver, receiving

pytestmark = pytest.mark.each_database

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
ALL = list(Event)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def there(workspace: Workspace, clock: ManualClock) -> Workspace:
    """A workspace whose webhooks may go to this machine, and whose time stands still."""
    return set_to(replace(workspace, clock=clock), webhook_schemes="http,https", webhook_private=True)


def set_to(workspace: Workspace, **settings: Any) -> Workspace:
    return replace(workspace, settings=msgspec.structs.replace(workspace.settings, **settings))


def hook(workspace: Workspace, me: Actor, url: str, events: list[Event] = ALL, **more: Any) -> Webhook:
    return webhooks.create_webhook(workspace, me, CreateWebhook(name="hook", url=url, events=events, **more))


def make(workspace: Workspace, me: Actor, name: str = "iris") -> None:
    models.create_model(workspace, me, asked.CreateModel(name=name, description="flowers", tags={"team": "risk"}))


def owed(workspace: Workspace, me: Actor, webhook: Webhook) -> list[Delivery]:
    return webhooks.list_deliveries(workspace, me, ListDeliveries(webhook=webhook.id))


def deliver(workspace: Workspace) -> list[Delivery]:
    """Whatever is due, tried once."""
    tried = []
    for webhook in webhooks_owed(workspace, but=(), limit=9):
        while (one := deliver_next(workspace, webhook)) is not None:
            tried.append(one)
    return tried


def test_every_event_is_told_in_order_and_signed(there: Workspace, me: Actor, receiver: WebhookReceiver) -> None:
    webhook = hook(there, me, receiver.url, secret="s3cret")
    make(there, me)
    source = asked.CreateVersion(name="iris", source="s3://bucket/model", tags={"a": "b"}, run_id="r")
    versions.create_version(there, me, source)
    versions.set_version_tag(there, me, asked.SetVersionTag(name="iris", version="1", key="k", value="v"))
    versions.delete_version_tag(there, me, asked.DeleteVersionTag(name="iris", version="1", key="k"))
    set_alias(there, me, SetAlias(model="iris", alias="best", version="1"))
    drop_alias(there, me, DropAlias(model="iris", alias="best"))
    assert [one.state for one in deliver(there)] == ["delivered"] * 6
    assert all(got.signed_with("s3cret") for got in receiver.got)
    assert [(f"{got.told['entity']}.{got.told['action']}", got.told["data"]) for got in receiver.got] == [
        ("registered_model.created", {"name": "iris", "tags": {"team": "risk"}, "description": "flowers"}),
        (
            "model_version.created",
            {
                "name": "iris",
                "version": "1",
                "source": "s3://bucket/model",
                "run_id": "r",
                "tags": {"a": "b"},
                "description": None,
            },
        ),
        ("model_version_tag.set", {"name": "iris", "version": "1", "key": "k", "value": "v"}),
        ("model_version_tag.deleted", {"name": "iris", "version": "1", "key": "k"}),
        ("model_version_alias.created", {"name": "iris", "alias": "best", "version": "1"}),
        ("model_version_alias.deleted", {"name": "iris", "alias": "best"}),
    ]
    assert receiver.got[0].told["timestamp"] == "2013-04-01T12:00:00+00:00"
    assert receiver.got[0].headers["Content-Type"] == "application/json"
    assert [one.id for one in owed(there, me, webhook)] == [got.id for got in reversed(receiver.got)]
    assert deliver(there) == []


def test_only_active_webhooks_that_ask_are_told(there: Workspace, me: Actor, receiver: WebhookReceiver) -> None:
    asking = hook(there, me, receiver.url, [Event.MODEL_CREATED])
    other = hook(there, me, receiver.url, [Event.ALIAS_CREATED])
    silent = hook(there, me, receiver.url, status=WebhookStatus.DISABLED)
    make(there, me)
    assert [len(owed(there, me, one)) for one in (asking, other, silent)] == [1, 0, 0]
    # What was owed before it was silenced waits until it may be told again.
    webhooks.update_webhook(there, me, UpdateWebhook(webhook=asking.id, status=WebhookStatus.DISABLED))
    assert deliver(there) == []
    assert deliver_next(there, asking.id) is None
    webhooks.update_webhook(there, me, UpdateWebhook(webhook=asking.id, status=WebhookStatus.ACTIVE))
    assert [one.state for one in deliver(there)] == ["delivered"]


def test_a_change_that_fails_is_not_told(there: Workspace, me: Actor, receiver: WebhookReceiver) -> None:
    webhook = hook(there, me, receiver.url)
    with pytest.raises(NotFound):
        versions.set_version_tag(there, me, asked.SetVersionTag(name="iris", version="1", key="k", value="v"))
    assert owed(there, me, webhook) == []


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_it_is_tried_again_with_the_same_id_and_a_new_time(
    status: int, there: Workspace, me: Actor, receiver: WebhookReceiver, clock: ManualClock
) -> None:
    hook(there, me, receiver.url, secret="s3cret")
    receiver.statuses = [status] * 3
    make(there, me)
    waits = []
    for _ in range(3):
        (tried,) = deliver(there)
        assert (tried.state, tried.answered, tried.error) == ("waiting", status, f"the receiver answered {status}")
        assert tried.next_at is not None
        waits.append((tried.next_at - clock.now()).total_seconds())
        assert deliver(there) == []
        clock.advance(tried.next_at - clock.now())
    assert waits == [1, 2, 4]
    (taken,) = deliver(there)
    assert (taken.state, taken.attempts, taken.answered, taken.error) == ("delivered", 4, 200, None)
    assert len({got.id for got in receiver.got}) == 1
    assert len({got.headers["X-MLflow-Timestamp"] for got in receiver.got}) == 4
    assert all(got.signed_with("s3cret") for got in receiver.got)


@pytest.mark.parametrize("header", ["90", "Mon, 01 Apr 2013 12:01:30 GMT"])
def test_a_receiver_may_say_when(
    header: str, there: Workspace, me: Actor, receiver: WebhookReceiver, clock: ManualClock
) -> None:
    hook(there, me, receiver.url)
    receiver.statuses, receiver.headers = [429], {"Retry-After": header}
    make(there, me)
    (tried,) = deliver(there)
    assert tried.next_at == clock.now() + timedelta(seconds=90)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410])
def test_other_answers_end_it_and_redirects_are_not_followed(
    status: int, there: Workspace, me: Actor, receiver: WebhookReceiver
) -> None:
    hook(there, me, receiver.url)
    receiver.statuses, receiver.headers = [status], {"Location": receiver.url}
    make(there, me)
    (tried,) = deliver(there)
    assert (tried.state, tried.next_at, tried.answered) == ("failed", None, status)
    assert len(receiver.got) == 1


def test_while_a_receiver_is_away_the_rest_waits_in_its_order(there: Workspace, me: Actor, clock: ManualClock) -> None:
    with receiving() as gone:
        url = gone.url
    webhook = hook(there, me, url)
    for name in ("a", "b", "c"):
        make(there, me, name)
    (tried,) = deliver(there)
    assert (tried.state, tried.attempts, tried.answered) == ("waiting", 1, None)
    assert tried.error is not None
    assert "refused" in tried.error
    assert [one.attempts for one in owed(there, me, webhook)] == [0, 0, 1]
    with receiving() as back:
        webhooks.update_webhook(there, me, UpdateWebhook(webhook=webhook.id, url=back.url))
        assert deliver(there) == []
        clock.advance(timedelta(seconds=1))
        assert [one.state for one in deliver(there)] == ["delivered"] * 3
        assert [got.told["data"]["name"] for got in back.got] == ["a", "b", "c"]


def test_after_three_days_it_is_given_up_and_after_a_week_forgotten(
    there: Workspace, me: Actor, receiver: WebhookReceiver, clock: ManualClock
) -> None:
    webhook = hook(there, me, receiver.url)
    receiver.statuses = [503]
    make(there, me)
    clock.advance(timedelta(days=3, seconds=1))
    (tried,) = deliver(there)
    assert (tried.state, tried.ended_at) == ("failed", clock.now())
    forget_old(there)
    assert len(owed(there, me, webhook)) == 1
    clock.advance(timedelta(days=7, seconds=1))
    forget_old(there)
    assert owed(there, me, webhook) == []


def test_what_was_taken_by_one_that_died_is_tried_when_its_time_is_over(
    there: Workspace, me: Actor, receiver: WebhookReceiver, clock: ManualClock
) -> None:
    webhook = hook(there, me, receiver.url)
    make(there, me)
    dying = set_to(there, webhook_encryption_key="", webhook_timeout_seconds=2)
    receiver.goes_on.clear()
    # Taken, and never answered: the rows are as they are when the process is killed here.
    lost = replace(dying, database=_Dying(dying.database))
    with pytest.raises(_Killed):
        deliver_next(lost, webhook.id)
    receiver.goes_on.set()
    assert deliver(there) == []
    clock.advance(timedelta(seconds=8))
    (tried,) = deliver(there)
    assert (tried.state, tried.attempts) == ("delivered", 2)
    assert len({got.id for got in receiver.got}) == 1


class _Killed(BaseException):
    """Stands for the end of the process."""


class _Dying:
    """A database that is written to once and then no more."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self._writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def writing(self) -> Any:
        self._writes += 1
        if self._writes > 1:
            raise _Killed
        return self._database.writing()


def test_a_receiver_that_hangs_is_left_in_time(there: Workspace, me: Actor, receiver: WebhookReceiver) -> None:
    hook(there, me, receiver.url)
    make(there, me)
    receiver.goes_on.clear()
    (tried,) = deliver(set_to(there, webhook_timeout_seconds=0.2))
    assert (tried.state, tried.answered) == ("waiting", None)


def test_no_connection_is_opened_to_an_address_that_is_not_public(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    plain = socket.getaddrinfo

    def turning(host: str, *more: Any, **named: Any) -> Any:
        """A name that leads to a public address at the first look, and to this machine from then on."""
        looked_up.append(host)
        return plain("93.184.215.14" if len(looked_up) == 1 else "127.0.0.1", *more, **named)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        for scheme in ("http", "https"):
            with pytest.raises(Forbidden, match="127.0.0.1 is not a public IP address"):
                post(f"{scheme}://127.0.0.1:{port}/x", b"", {}, seconds=1, private=False)
        connected: list[str] = []

        def noted(address: tuple[str, int], *_: Any) -> socket.socket:
            connected.append(address[0])
            raise ConnectionRefusedError

        monkeypatch.setattr("kept.registry.webhook_posting.getaddrinfo", turning)
        monkeypatch.setattr("kept.registry.webhook_posting.create_connection", noted)
        with pytest.raises(Unavailable):
            post(f"http://turning.example:{port}/x", b"", {}, seconds=1, private=False)
        assert (looked_up, connected) == (["turning.example"], ["93.184.215.14"])
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_private_addresses_are_refused_at_once_and_when_they_are_connected_to(
    there: Workspace, me: Actor, receiver: WebhookReceiver
) -> None:
    strict = set_to(there, webhook_private=False)
    for url in (receiver.url, "http://localhost/x", "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://127.1/"):
        with pytest.raises(Invalid, match="must not resolve to a non-public IP address"):
            hook(strict, me, url)
    webhook = hook(there, me, receiver.url)
    make(there, me)
    (tried,) = deliver(strict)
    assert tried.state == "failed"
    assert tried.error is not None
    assert "not a public IP address" in tried.error
    tested = webhooks.try_webhook(strict, me, TryWebhook(webhook=webhook.id))
    assert (tested.taken, tested.answered) == (False, None)
    assert receiver.got == []


def test_a_name_that_cannot_be_looked_up_is_taken_and_looked_at_later(workspace: Workspace, me: Actor) -> None:
    assert hook(workspace, me, "https://nowhere.invalid/x").url == "https://nowhere.invalid/x"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("   ", "cannot be empty or just whitespace"),
        ("ftp://example.com", "Invalid webhook URL scheme: 'ftp'. Allowed schemes are: https."),
        ("http://example.com", "Invalid webhook URL scheme: 'http'. Allowed schemes are: https."),
        ("http://[invalid", "Invalid webhook URL 'http"),
        ("https://", "must include a hostname"),
        ("https://a:b", "Invalid webhook URL"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, says: str, workspace: Workspace, me: Actor) -> None:
    with pytest.raises(Invalid) as refused:
        hook(workspace, me, url)
    assert says in refused.value.what
    made = hook(workspace, me, "https://nowhere.invalid/x")
    with pytest.raises(Invalid) as refused:
        webhooks.update_webhook(workspace, me, UpdateWebhook(webhook=made.id, url=url))
    assert says in refused.value.what


def test_a_webhook_is_changed_listed_and_removed(there: Workspace, me: Actor, receiver: WebhookReceiver) -> None:
    made = [hook(there, me, receiver.url) for _ in range(3)]
    page = webhooks.list_webhooks(there, me, ListWebhooks(limit=2))
    rest = webhooks.list_webhooks(there, me, ListWebhooks(limit=2, page=page.next_page))
    assert [one.id for one in (*page.webhooks, *rest.webhooks)] == [one.id for one in reversed(made)]
    assert rest.next_page is None
    with pytest.raises(Invalid, match="between 1 and 1000"):
        webhooks.list_webhooks(there, me, ListWebhooks(limit=1_001))
    changed = webhooks.update_webhook(
        there, me, UpdateWebhook(webhook=made[0].id, name="n", description="d", events=[Event.ALIAS_CREATED] * 2)
    )
    assert (changed.name, changed.description, changed.events) == ("n", "d", (Event.ALIAS_CREATED,))
    assert changed.updated_at > made[0].updated_at
    make(there, me)
    webhooks.delete_webhook(there, me, OfWebhook(webhook=made[1].id))
    for gone in (made[1].id, "nope"):
        with pytest.raises(NotFound, match=f"Webhook with ID {gone} not found."):
            webhooks.show_webhook(there, me, OfWebhook(webhook=gone))
    assert [one.webhook_id for one in deliver(there)] == [made[2].id]


def test_a_test_is_sent_once_and_its_answer_told(there: Workspace, me: Actor, receiver: WebhookReceiver) -> None:
    webhook = hook(there, me, receiver.url, [Event.VERSION_CREATED, Event.ALIAS_CREATED], secret="s3cret")
    receiver.statuses = [500]
    tried = webhooks.try_webhook(there, me, TryWebhook(webhook=webhook.id))
    assert (tried.taken, tried.answered, tried.body, tried.error) == (False, 500, "taken", None)
    tried = webhooks.try_webhook(there, me, TryWebhook(webhook=webhook.id, event=Event.ALIAS_CREATED))
    assert (tried.taken, tried.answered) == (True, 200)
    assert [got.told["entity"] for got in receiver.got] == ["model_version", "model_version_alias"]
    assert all(got.signed_with("s3cret") for got in receiver.got)
    entries = list_audit(there, me, ListAudit(action="webhooks.note_test"))
    assert [one.details["request"]["answered"] for one in entries] == [200, 500]


def test_secrets_are_told_nowhere_and_only_administrators_may(
    there: Workspace, me: Actor, receiver: WebhookReceiver
) -> None:
    webhook = hook(there, me, receiver.url, secret="s3cret")
    assert webhook.signed
    changed = webhooks.update_webhook(there, me, UpdateWebhook(webhook=webhook.id, secret="s3cret-two"))
    with pytest.raises(NotFound):
        webhooks.update_webhook(there, me, UpdateWebhook(webhook="nope", secret="s3cret-three"))
    told = [changed, webhooks.list_webhooks(there, me, ListWebhooks()), list_audit(there, me, ListAudit())]
    assert b"s3cret" not in msgspec.json.encode(told)
    make(there, me)
    deliver(there)
    assert receiver.got[0].signed_with("s3cret-two")
    assert not webhooks.update_webhook(there, me, UpdateWebhook(webhook=webhook.id, secret="")).signed
    other = msgspec.structs.replace(me, permissions=me.permissions - {Permission.ADMINISTER})
    with pytest.raises(Forbidden):
        hook(there, other, receiver.url)
    with pytest.raises(Forbidden):
        webhooks.list_webhooks(there, other, ListWebhooks())


@pytest.mark.parametrize(
    "url", ["https://ann:s3cret@hooks.example/x", "https:ann:s3cret@hooks.example", "https://[s3cret@"]
)
def test_no_entry_tells_the_password_of_an_address(there: Workspace, me: Actor, url: str) -> None:
    webhook = hook(there, me, "https://hooks.example/x")
    for change in (CreateWebhook(name="b", url=url, events=ALL), UpdateWebhook(webhook=webhook.id, url=url)):
        assert b"s3cret" not in msgspec.json.encode(change.for_audit())
    with suppress(Invalid):
        hook(there, me, url)
        webhooks.update_webhook(there, me, UpdateWebhook(webhook=webhook.id, url=url))
    assert b"s3cret" not in msgspec.json.encode([one.details for one in list_audit(there, me, ListAudit())])


@pytest.mark.parametrize("host", ["a b", "a\x01b", "u:p\x00@a"])
def test_a_host_that_nobody_can_be_asked_at_is_refused(there: Workspace, me: Actor, host: str) -> None:
    with pytest.raises(Invalid):
        hook(there, me, f"http://{host}/x")
    if ":" not in host:
        with pytest.raises(Forbidden, match="no address"):
            post(f"http://{host}/x", b"", {}, seconds=1, private=True)


@pytest.mark.parametrize(
    "address",
    ["::7f00:1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::",
     "fec0::1", "224.0.0.1", "ff0e::1", "::ffff:224.0.0.1", "0.0.0.0", "::", "::1", "100.64.0.1"],
)  # fmt: skip
def test_no_form_of_an_address_that_is_not_public_passes_for_one(address: str) -> None:
    assert not is_public(address)
    assert is_public("8.8.8.8")
    assert is_public("2001:4860:4860::8888")
    assert is_public("64:ff9b::808:808")


def test_a_courier_carries_beside_the_caller_and_one_that_hangs_holds_up_no_other(
    workspace: Workspace, me: Actor, receiver: WebhookReceiver
) -> None:
    busy = set_to(workspace, webhook_schemes="http", webhook_private=True, poll_seconds=0.02)
    with receiving() as hanging, carrying(busy):
        hanging.goes_on.clear()
        hook(busy, me, hanging.url)
        hook(busy, me, receiver.url)
        for name in ("a", "b", "c"):
            make(busy, me, name)
        assert [got.told["data"]["name"] for got in receiver.wait(3)] == ["a", "b", "c"]
        hanging.goes_on.set()
        assert [got.told["data"]["name"] for got in hanging.wait(3)] == ["a", "b", "c"]
    assert len(receiver.got) == len(hanging.got) == 3
