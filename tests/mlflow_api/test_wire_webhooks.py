"""The endpoints of webhooks, as they are seen on the wire."""

from typing import Any

import pytest
from asking import Ask

BAD = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")
VERSION = {"entity": "MODEL_VERSION", "action": "CREATED"}
URL = "https://nowhere.invalid/hook"
NAMES = (
    "It must start and end with a letter or digit, be less than 63 characters long, "
    "and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
)
HINT = "See the API docs for more information about request parameters."


def make(ask: Ask, name: str = "hook", **more: Any) -> Any:
    return ask("POST", "webhooks", {"name": name, "url": URL, "events": [VERSION], **more})["webhook"]


def test_a_webhook_is_made_shown_changed_and_deleted(ask: Ask) -> None:
    made = make(ask, secret="s3cret")
    assert made == {
        "webhook_id": made["webhook_id"],
        "name": "hook",
        "url": URL,
        "events": [VERSION],
        "status": "ACTIVE",
        "creation_timestamp": made["creation_timestamp"],
        "last_updated_timestamp": made["creation_timestamp"],
    }
    path = f"webhooks/{made['webhook_id']}"
    assert ask("GET", path)["webhook"] == made
    alias = {"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"}
    change = {"name": "n", "description": "d", "status": "DISABLED", "events": [VERSION, alias], "secret": "other"}
    changed = ask("PATCH", path, change)["webhook"]
    assert changed | {"last_updated_timestamp": 0} == {
        **made,
        "name": "n",
        "description": "d",
        "status": "DISABLED",
        "events": [VERSION, alias],
        "last_updated_timestamp": 0,
    }
    assert changed["last_updated_timestamp"] > made["last_updated_timestamp"]
    assert ask("PATCH", path, {"events": [], "name": "", "url": ""})["webhook"]["events"] == [VERSION, alias]
    assert "description" not in ask("PATCH", path, {"description": ""})["webhook"]
    assert ask("DELETE", path) == {}
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert ask(method, path, body, fails=ABSENT) == f"Webhook with ID {made['webhook_id']} not found."
    assert ask("POST", f"{path}/test", {}, fails=ABSENT) == f"Webhook with ID {made['webhook_id']} not found."


def test_webhooks_are_listed_in_pages(ask: Ask) -> None:
    assert ask("GET", "webhooks") == {}
    ids = [make(ask, f"hook{number}")["webhook_id"] for number in range(3)]
    page = ask("GET", "webhooks", max_results=2)
    rest = ask("GET", "webhooks", max_results=2, page_token=page["next_page_token"])
    assert [one["webhook_id"] for one in page["webhooks"] + rest["webhooks"]] == ids[::-1]
    assert "next_page_token" not in rest
    assert len(ask("GET", "webhooks", max_results=0)["webhooks"]) == 3
    for size in (-1, 1_001):
        assert ask("GET", "webhooks", max_results=size, fails=BAD) == "max_results must be between 1 and 1000."


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": None}, f"Missing value for required parameter 'name'. {HINT}"),
        ({"url": ""}, f"Missing value for required parameter 'url'. {HINT}"),
        ({"events": None}, f"Missing value for required parameter 'events'. {HINT}"),
        ({"events": []}, "Webhook events must be a non-empty list of WebhookEvent objects: []."),
        (
            {"name": "-a"},
            f"Webhook name '-a' is invalid. {NAMES}",
        ),
        ({"url": "ftp://x"}, "Invalid webhook URL scheme: 'ftp'. Allowed schemes are: https."),
        (
            {"url": "https://127.0.0.1/x"},
            "Webhook URL must not resolve to a non-public IP address. '127.0.0.1' resolves to 127.0.0.1.",
        ),
        (
            {"events": [{"entity": "MODEL_VERSION", "action": "SET"}]},
            "Invalid action 'set' for entity 'model_version'. Valid actions are: ['created']",
        ),
    ],
)
def test_what_is_no_webhook_is_refused(change: dict[str, Any], says: str, ask: Ask) -> None:
    body = {"name": "hook", "url": URL, "events": [VERSION], **change}
    assert ask("POST", "webhooks", {key: value for key, value in body.items() if value is not None}, fails=BAD) == says


def test_events_of_what_is_not_kept_are_refused(ask: Ask) -> None:
    for entity, action in (("PROMPT", "CREATED"), ("PROMPT_ALIAS", "DELETED"), ("BUDGET_POLICY", "EXCEEDED")):
        body = {"name": "hook", "url": URL, "events": [{"entity": entity, "action": action}]}
        said = ask("POST", "webhooks", body, fails=(501, "NOT_IMPLEMENTED"))
        assert said == f"Webhooks of {entity.lower()} events are not kept here: Kept keeps experiments and models."


def test_events_and_states_may_be_numbers(ask: Ask) -> None:
    made = make(ask, events=[{"entity": 4, "action": 3}], status=2)
    assert (made["events"], made["status"]) == ([{"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"}], "DISABLED")


def test_a_test_that_reaches_nobody_says_so(ask: Ask) -> None:
    path = f"webhooks/{make(ask)['webhook_id']}/test"
    result = ask("POST", path, {"event": VERSION})["result"]
    assert result["success"] is False
    assert result["error_message"].startswith("Failed to test webhook: ")
    assert "response_status" not in result
