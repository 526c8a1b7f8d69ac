"""What webhooks are owed survives the death of the server."""

from pathlib import Path

import httpx
from running import serving

from webhook_receiver import receiving

OPEN = {"KEPT_WEBHOOK_SCHEMES": "http", "KEPT_WEBHOOK_PRIVATE": "true"}
API = "api/2.0/mlflow"


def test_a_change_that_was_answered_is_told_when_the_server_was_killed_before_it_could_be(tmp_path: Path) -> None:
    with receiving() as receiver:
        # It looks for what is due when it starts, and then in an hour.
        with serving(tmp_path, KEPT_POLL_SECONDS="3600", **OPEN) as (address, process):
            event = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
            body = {"name": "hook", "url": receiver.url, "events": [event], "secret": "s3cret"}
            httpx.post(f"{address}/{API}/webhooks", json=body).raise_for_status()
            httpx.post(f"{address}/{API}/registered-models/create", json={"name": "iris"}).raise_for_status()
            process.kill()
            process.wait(60)
        assert receiver.got == []
        with serving(tmp_path, **OPEN):
            (got,) = receiver.wait(1)
        assert got.signed_with("s3cret")
        assert got.told["data"] == {"name": "iris", "tags": {}, "description": ""}
