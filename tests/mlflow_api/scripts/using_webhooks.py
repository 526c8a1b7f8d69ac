"""Webhooks: told of what happens in the registry, signed; tried again while the receiver fails."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException

got: list[tuple[dict[str, str], bytes]] = []
statuses: list[int] = []


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        got.append((dict(self.headers), body))
        self.send_response(statuses.pop(0) if statuses else 200)
        self.end_headers()
        self.wfile.write(b"taken")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def wait(count: int) -> list[Any]:
    until = time.monotonic() + 60
    while len(got) < count and time.monotonic() < until:
        time.sleep(0.02)
    assert len(got) == count, got
    return [json.loads(body) for _, body in got]


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://localhost:{server.server_port}/hook"
client = MlflowClient()

VERSION = WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED)
ALIAS = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)
MODEL = WebhookEvent(WebhookEntity.REGISTERED_MODEL, WebhookAction.CREATED)
webhook = client.create_webhook("hook", url, [VERSION, ALIAS], secret="s3cret", description="tells")
assert (webhook.secret, webhook.status, webhook.description) == (None, WebhookStatus.ACTIVE, "tells")
assert client.get_webhook(webhook.webhook_id).events == [VERSION, ALIAS]
assert [one.name for one in client.list_webhooks(max_results=1)] == ["hook"]

tried = client.test_webhook(webhook.webhook_id)
assert (tried.success, tried.response_status, tried.response_body, tried.error_message) == (True, 200, "taken", None)
client.test_webhook(webhook.webhook_id, ALIAS)
assert [one["entity"] for one in wait(2)] == ["model_version", "model_version_alias"]

statuses[:] = [500, 429]
client.create_registered_model("told")
client.create_model_version("told", "s3://bucket/model", tags={"a": "b"})
told = wait(5)[2:]
assert told[0] == told[1] == told[2]
assert told[0]["data"] == {
    "name": "told",
    "version": "1",
    "source": "s3://bucket/model",
    "run_id": None,
    "tags": {"a": "b"},
    "description": None,
}
for headers, body in got:
    text = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
    code = base64.b64encode(hmac.new(b"s3cret", text, hashlib.sha256).digest()).decode()
    assert headers["X-MLflow-Signature"] == f"v1,{code}"
assert len({headers["X-MLflow-Delivery-Id"] for headers, _ in got[2:]}) == 1

changed = client.update_webhook(webhook.webhook_id, name="other", events=[MODEL], status=WebhookStatus.DISABLED)
assert (changed.name, changed.events, changed.url) == ("other", [MODEL], url)
client.create_registered_model("silent")
client.update_webhook(webhook.webhook_id, status="ACTIVE")
client.create_registered_model("loud", description="x")
assert wait(6)[-1]["data"] == {"name": "loud", "tags": {}, "description": "x"}


def refusal(action: Callable[[], object]) -> MlflowException:
    try:
        action()
    except MlflowException as error:
        return error
    raise AssertionError("it was not refused")


client.delete_webhook(webhook.webhook_id)
assert refusal(lambda: client.get_webhook(webhook.webhook_id)).error_code == "RESOURCE_DOES_NOT_EXIST"
PROMPT = WebhookEvent(WebhookEntity.PROMPT, WebhookAction.CREATED)
assert "not kept here" in refusal(lambda: client.create_webhook("hook", url, [PROMPT])).message
