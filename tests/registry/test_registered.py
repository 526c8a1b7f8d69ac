from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from test_registry import Prepare, prepare

from kept.core.errors import Conflict, Forbidden, Invalid
from kept.core.ids import new_id
from kept.deployment.release import ReleaseVersion, release
from kept.governance.actor import Actor, Permission
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.registry import registered_models as models
from kept.registry import registered_versions as versions
from kept.registry import requests as asked
from kept.registry.catalog import (
    ListVersions,
    SearchVersions,
    SetAlias,
    ShowVersion,
    list_versions,
    register_version,
    search_versions,
    set_alias,
    show_version,
)
from kept.registry.consent import Waive, waive
from kept.registry.registered import RegisteredVersion

__all__ = ["prepare"]
Add = Callable[[], RegisteredVersion]


@pytest.fixture
def add(workspace: Workspace, me: Actor) -> Add:
    """Registers a version of `flights` as a client does."""

    def make() -> RegisteredVersion:
        request = asked.CreateVersion(name="flights", source="s3://bucket/model")
        return versions.create_version(workspace, me, request)

    return make


def test_judged_and_unjudged_versions_share_their_numbers(
    workspace: Workspace, me: Actor, prepare: Prepare, add: Add
) -> None:
    first = register_version(workspace, me, prepare(run_id=new_id()))
    second, third = add(), register_version(workspace, me, prepare())
    assert (first.number, second.number, third.number) == (1, 2, 3)
    listed = list_versions(workspace, me, ListVersions(model="flights"))
    assert [(one.number, one.status) for one in listed] == [(3, "accepted"), (2, "unjudged"), (1, "accepted")]
    assert [one.number for one in list_versions(workspace, me, ListVersions(project="flights"))] == [3, 1]
    assert [one.id for one in search_versions(workspace, me, SearchVersions(status="unjudged"))] == [second.id]
    assert [one.number for one in search_versions(workspace, me, SearchVersions(bounds="roc_auc > 0.1"))] == [3, 1]
    seen = versions.search_registered(workspace, me, asked.SearchRegisteredVersions()).versions
    assert [(one.number, one.judged, one.run_id) for one in seen] == [
        (3, True, None), (2, False, None), (1, True, first.run_id)
    ]  # fmt: skip


def test_an_unjudged_version_is_shown_and_named_and_not_released(workspace: Workspace, me: Actor, add: Add) -> None:
    models.create_model(workspace, me, asked.CreateModel(name="flights"))
    version = add()
    set_alias(workspace, me, SetAlias(model="flights", alias="champion", version="1"))
    shown = show_version(workspace, me, ShowVersion(model="flights", version="champion"))
    assert (shown.version, shown.registered.id, shown.aliases) == (None, version.id, ("champion",))
    with pytest.raises(Conflict, match="is unjudged"):
        release(workspace, me, ReleaseVersion(endpoint="flights", version="champion"))
    with pytest.raises(Conflict, match="is unjudged"):
        waive(workspace, me, Waive(model="flights", version="1", reason="we trust it"))


def test_what_kept_judged_is_not_removed_from_outside(
    workspace: Workspace, me: Actor, prepare: Prepare, add: Add
) -> None:
    register_version(workspace, me, prepare())
    with pytest.raises(Forbidden, match="was judged and stays"):
        versions.delete_version(workspace, me, asked.DeleteVersion(name="flights", version="1"))
    with pytest.raises(Forbidden, match="holds versions that Kept judged"):
        models.delete_model(workspace, me, asked.DeleteModel(name="flights"))
    with pytest.raises(Forbidden, match="keeps its name"):
        models.rename_model(workspace, me, asked.RenameModel(name="flights", new_name="trains"))
    add()
    versions.delete_version(workspace, me, asked.DeleteVersion(name="flights", version="2"))
    assert [one.number for one in list_versions(workspace, me, ListVersions())] == [1]


def test_registering_asks_for_permission_and_is_audited(workspace: Workspace, me: Actor) -> None:
    viewer = Actor(name="bo", origin="http", permissions=frozenset({Permission.VIEW}))
    request = asked.CreateModel(name="flights")
    with pytest.raises(Forbidden):
        models.create_model(workspace, viewer, request)
    models.create_model(workspace, me, request)
    entries = [(one.action, one.actor, one.outcome) for one in list_audit(workspace, me, ListAudit())]
    expected = [("registered_models.create", "bo", "refused"), ("registered_models.create", "ada", "done")]
    assert sorted(entries) == sorted(expected)


def test_a_host_that_is_allowed_may_be_a_source(workspace: Workspace, me: Actor) -> None:
    models.create_model(workspace, me, asked.CreateModel(name="flights"))
    request = asked.CreateVersion(name="flights", source="https://models.example.org/x")
    with pytest.raises(Invalid, match="cannot use the 'https' scheme"):
        versions.create_version(workspace, me, request)
    settings = msgspec.structs.replace(workspace.settings, source_schemes="hdfs, HTTPS")
    open_ = replace(workspace, settings=settings)
    assert versions.create_version(open_, me, request).source == "https://models.example.org/x"
