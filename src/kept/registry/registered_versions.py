"""Operations on numbered versions, judged or not: registering from outside, describing, finding, removing them."""

from kept.core.errors import Forbidden, Invalid, NotFound
from kept.core.ids import new_id
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.registry import requests as asked
from kept.registry.announcing import announce, announce_version
from kept.registry.grammar import registered_version_orders, registered_version_terms
from kept.registry.names import LATEST, check_alias, check_model_name, check_tag, stage_of, version_number
from kept.registry.records import registered as records
from kept.registry.records.searching import search_version_rows
from kept.registry.registered import ACTIVE_STAGES, RegisteredVersion, RegisteredVersions, Stage
from kept.registry.registered_models import find_model
from kept.registry.sources import origin_of
from kept.registry.webhook import Event
from kept.tracking.names import check_name
from kept.tracking.paging import check_limit, offset_of, token_of


@operation("model_versions.create", needs=Permission.CONTRIBUTE, on="name")
def create_version(workspace: Workspace, actor: Actor, request: asked.CreateVersion) -> RegisteredVersion:
    """Registers files as the model's next version. It is unjudged: it can be loaded, and not released."""
    with workspace.database.writing() as connection:
        origin = origin_of(workspace, connection, request)
        check_model_name(request.name)
        for name, value in request.tags.items():
            check_tag(name, value)
        find_model(workspace, request.name)
        now = workspace.clock.now()
        version = RegisteredVersion(
            id=new_id(),
            model=request.name,
            number=records.next_number(connection, request.name),
            judged=False,
            source=origin.source,
            location=origin.location,
            run_id=origin.run_id,
            run_link=request.run_link,
            logged_model=origin.logged_model,
            description=request.description,
            stage=Stage.NONE,
            tags=request.tags,
            created_by=actor.name,
            created_at=now,
            updated_at=now,
        )
        records.insert_registered(connection, version)
        records.change_model(connection, request.name, now)
        announce_version(connection, version)
    return version


@operation("model_versions.show", needs=Permission.VIEW, audit=Audit.READ)
def show_registered(workspace: Workspace, actor: Actor, request: asked.ShowRegisteredVersion) -> RegisteredVersion:
    """One version of a registered model, judged or not, by its number."""
    del actor
    return _find(workspace, request.name, request.version)


@operation("model_versions.find", needs=Permission.VIEW, audit=Audit.READ)
def find_version(workspace: Workspace, actor: Actor, request: asked.FindVersion) -> RegisteredVersion:
    """The version that an alias points to, or the newest for `latest`."""
    del actor
    check_model_name(request.name)
    check_alias(request.alias)
    model = find_model(workspace, request.name)
    if request.alias.lower() == LATEST:
        if not model.latest:
            raise NotFound(f"Latest version not found for model {request.name}.")
        return max(model.latest, key=lambda one: one.number)
    if request.alias not in model.aliases:
        raise Invalid(f"Registered model alias {request.alias} not found.")
    return _find(workspace, request.name, str(model.aliases[request.alias]))


@operation("model_versions.update", needs=Permission.CONTRIBUTE, on="name")
def update_version(workspace: Workspace, actor: Actor, request: asked.UpdateVersion) -> RegisteredVersion:
    """Describes a version anew."""
    del actor
    with workspace.database.writing() as connection:
        found = _find(workspace, request.name, request.version)
        now = workspace.clock.now()
        records.change_version(connection, found.model, found.number, now, description=request.description)
    return _find(workspace, request.name, request.version)


@operation("model_versions.delete", needs=Permission.CONTRIBUTE, on="name")
def delete_version(workspace: Workspace, actor: Actor, request: asked.DeleteVersion) -> None:
    """Deletes a version that a client registered, with the aliases that point to it. A judged version stays."""
    del actor
    with workspace.database.writing() as connection:
        found = _find(workspace, request.name, request.version)
        if found.judged:
            fix = "Delete only what clients registered: releases and audit entries name judged versions"
            raise Forbidden(f"Model Version (name={found.model}, version={found.number}) was judged and stays", fix=fix)
        now = workspace.clock.now()
        records.remove_version(connection, found, now)
        records.change_model(connection, found.model, now)


@operation("model_versions.set_tag", needs=Permission.CONTRIBUTE, on="name")
def set_version_tag(workspace: Workspace, actor: Actor, request: asked.SetVersionTag) -> RegisteredVersion:
    """Sets a tag of a version."""
    del actor
    check_model_name(request.name)
    version_number(request.version)
    check_tag(request.key, request.value)
    with workspace.database.writing() as connection:
        found = _find(workspace, request.name, request.version)
        records.put_version_tags(connection, found.model, found.number, {request.key: request.value})
        told = {"name": found.model, "version": str(found.number), "key": request.key, "value": request.value}
        announce(connection, Event.VERSION_TAG_SET, told, workspace.clock.now())
    return _find(workspace, request.name, request.version)


@operation("model_versions.delete_tag", needs=Permission.CONTRIBUTE, on="name")
def delete_version_tag(workspace: Workspace, actor: Actor, request: asked.DeleteVersionTag) -> RegisteredVersion:
    """Removes a tag of a version, when it has it."""
    del actor
    check_name(request.key, "key")
    with workspace.database.writing() as connection:
        found = _find(workspace, request.name, request.version)
        records.delete_version_tag(connection, found.model, found.number, request.key)
        told = {"name": found.model, "version": str(found.number), "key": request.key}
        announce(connection, Event.VERSION_TAG_DELETED, told, workspace.clock.now())
    return _find(workspace, request.name, request.version)


@operation("model_versions.move", needs=Permission.RELEASE, on="name")
def move_version(workspace: Workspace, actor: Actor, request: asked.MoveVersion) -> RegisteredVersion:
    """Moves a version to a stage: a label for those who ask for models by stage, and no release."""
    del actor
    stage = stage_of(request.stage)
    if request.archive and stage not in ACTIVE_STAGES:
        raise Invalid(
            "Model version transition cannot archive existing model versions because "
            f"'{request.stage}' is not an Active stage. Valid stages are {[one.value for one in ACTIVE_STAGES]}"
        )
    with workspace.database.writing() as connection:
        found = _find(workspace, request.name, request.version)
        now = workspace.clock.now()
        if request.archive:
            records.archive_others(connection, found.model, found.number, stage, now)
        records.change_version(connection, found.model, found.number, now, stage=stage.value)
        records.change_model(connection, found.model, now)
    return _find(workspace, request.name, request.version)


@operation("model_versions.search", needs=Permission.VIEW, audit=Audit.READ)
def search_registered(
    workspace: Workspace, actor: Actor, request: asked.SearchRegisteredVersions
) -> RegisteredVersions:
    """A page of versions that fit, judged or not; those that changed last come first when no order is given."""
    del actor
    check_limit(request.limit, asked.LARGEST_PAGE_OF_VERSIONS)
    terms, orders = registered_version_terms(request.filter), registered_version_orders(request.order_by)
    offset = offset_of(request.page)
    with workspace.database.reading() as connection:
        rows = search_version_rows(connection, terms, orders, offset=offset, limit=request.limit + 1)
        found = records.versions_from(connection, rows[: request.limit])
    more = len(rows) > request.limit
    return RegisteredVersions(versions=found, next_page=token_of(offset + request.limit) if more else None)


def _find(workspace: Workspace, name: str, version: str) -> RegisteredVersion:
    check_model_name(name)
    number = version_number(version)
    with workspace.database.reading() as connection:
        found = records.registered_by_number(connection, name, number)
    if found is None:
        raise NotFound(f"Model Version (name={name}, version={version}) not found")
    return found
