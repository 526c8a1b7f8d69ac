from typing import Any

from visiting import Open

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.registry.registered_models import create_model
from kept.registry.registered_versions import create_version
from kept.registry.requests import CreateModel, CreateVersion


def test_a_version_that_a_client_registered_has_its_page(open_site: Open, workspace: Workspace, me: Actor) -> None:
    create_model(workspace, me, CreateModel(name="iris"))
    request: dict[str, Any] = {"name": "iris", "source": "s3://b/<script>", "tags": {"team": "risk"}}
    create_version(workspace, me, CreateVersion(**request))
    site = open_site()
    assert "unjudged" in site.get("/models", params={"status": "unjudged"}).text
    assert "iris" not in site.get("/models", params={"status": "accepted"}).text
    for address in ("/models/iris", "/models/iris/1"):
        page = site.get(address)
        assert page.status_code == 200
        assert all(
            one in page.text for one in ("unjudged", "kept models adopt iris/1", "s3://b/&lt;script&gt;", "risk")
        )
