"""Operations on registered models: naming, describing, finding, removing them."""

from kept.core.errors import Conflict, Forbidden, NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.registry import requests as asked
from kept.registry.announcing import announce_model
from kept.registry.grammar import registered_model_orders, registered_model_terms
from kept.registry.names import check_model_name, check_tag, stage_of
from kept.registry.records import registered as records
from kept.registry.records.searching import search_model_rows
from kept.registry.registered import RegisteredModel, RegisteredModels, RegisteredVersion
from kept.tracking.names import check_name
from kept.tracking.paging import check_limit, offset_of, token_of


@operation("registered_models.create", needs=Permission.CONTRIBUTE, on="name")
def create_model(workspace: Workspace, actor: Actor, request: asked.CreateModel) -> RegisteredModel:
    """Makes a name for versions."""
    del actor
    check_model_name(request.name)
    for name, value in request.tags.items():
        check_tag(name, value)
    now = workspace.clock.now()
    model = RegisteredModel(
        name=request.name, description=request.description, tags=request.tags, created_at=now, updated_at=now
    )
    with workspace.database.writing() as connection:
        if records.has_model(connection, request.name):
            raise Conflict(f"Registered Model (name={request.name}) already exists.")
        records.insert_model(connection, model)
        announce_model(connection, model)
    return model


@operation("registered_models.show", needs=Permission.VIEW, audit=Audit.READ)
def show_model(workspace: Workspace, actor: Actor, request: asked.ShowModel) -> RegisteredModel:
    """One registered model with its tags, its aliases and the newest version of each stage."""
    del actor
    return find_model(workspace, request.name)


@operation("registered_models.update", needs=Permission.CONTRIBUTE, on="name")
def update_model(workspace: Workspace, actor: Actor, request: asked.UpdateModel) -> RegisteredModel:
    """Describes a registered model anew."""
    del actor
    with workspace.database.writing() as connection:
        find_model(workspace, request.name)
        records.change_model(connection, request.name, workspace.clock.now(), description=request.description)
    return find_model(workspace, request.name)


@operation("registered_models.rename", needs=Permission.CONTRIBUTE, on="name")
def rename_model(workspace: Workspace, actor: Actor, request: asked.RenameModel) -> RegisteredModel:
    """Gives a registered model another name. One that holds judged versions keeps its name: releases name it."""
    del actor
    check_model_name(request.new_name, "new_name")
    with workspace.database.writing() as connection:
        find_model(workspace, request.name)
        if records.has_judged(connection, request.name):
            raise _judged(request.name, "keeps its name")
        if request.new_name != request.name and records.has_model(connection, request.new_name):
            raise Conflict(f"Registered Model (name={request.new_name}) already exists.")
        records.rename_model(connection, request.name, request.new_name, workspace.clock.now())
    return find_model(workspace, request.new_name)


@operation("registered_models.delete", needs=Permission.CONTRIBUTE, on="name")
def delete_model(workspace: Workspace, actor: Actor, request: asked.DeleteModel) -> None:
    """Deletes a registered model with its versions and aliases. One that holds judged versions stays."""
    del actor
    with workspace.database.writing() as connection:
        find_model(workspace, request.name)
        if records.has_judged(connection, request.name):
            raise _judged(request.name, "stays")
        records.delete_model(connection, request.name)


@operation("registered_models.set_tag", needs=Permission.CONTRIBUTE, on="name")
def set_model_tag(workspace: Workspace, actor: Actor, request: asked.SetModelTag) -> RegisteredModel:
    """Sets a tag of a registered model."""
    del actor
    check_model_name(request.name)
    check_tag(request.key, request.value)
    with workspace.database.writing() as connection:
        find_model(workspace, request.name)
        records.put_model_tags(connection, request.name, {request.key: request.value})
    return find_model(workspace, request.name)


@operation("registered_models.delete_tag", needs=Permission.CONTRIBUTE, on="name")
def delete_model_tag(workspace: Workspace, actor: Actor, request: asked.DeleteModelTag) -> RegisteredModel:
    """Removes a tag of a registered model, when it has it."""
    del actor
    check_model_name(request.name)
    check_name(request.key, "key")
    with workspace.database.writing() as connection:
        find_model(workspace, request.name)
        records.delete_model_tag(connection, request.name, request.key)
    return find_model(workspace, request.name)


@operation("registered_models.search", needs=Permission.VIEW, audit=Audit.READ)
def search_models(workspace: Workspace, actor: Actor, request: asked.SearchModels) -> RegisteredModels:
    """A page of registered models that fit, by name when no order is given."""
    del actor
    check_limit(request.limit, asked.LARGEST_PAGE_OF_MODELS)
    terms, orders = registered_model_terms(request.filter), registered_model_orders(request.order_by)
    offset = offset_of(request.page)
    with workspace.database.reading() as connection:
        rows = search_model_rows(connection, terms, orders, offset=offset, limit=request.limit + 1)
        found = records.models_from(connection, rows[: request.limit])
    more = len(rows) > request.limit
    return RegisteredModels(models=found, next_page=token_of(offset + request.limit) if more else None)


@operation("registered_models.latest_versions", needs=Permission.VIEW, audit=Audit.READ)
def latest_versions(workspace: Workspace, actor: Actor, request: asked.LatestVersions) -> list[RegisteredVersion]:
    """The newest version of each stage that is asked for, or of every stage."""
    del actor
    found = find_model(workspace, request.name).latest
    stages = {stage_of(one) for one in request.stages}
    return [one for one in found if not stages or one.stage in stages]


def find_model(workspace: Workspace, name: str) -> RegisteredModel:
    """The registered model; `NotFound` when there is none."""
    check_model_name(name)
    with workspace.database.reading() as connection:
        found = records.model_by_name(connection, name)
    if found is None:
        raise NotFound(f"Registered Model with name={name} not found")
    return found


def _judged(name: str, what: str) -> Forbidden:
    fix = "Delete only what clients registered: releases and audit entries name judged versions"
    return Forbidden(f"Registered Model (name={name}) holds versions that Kept judged, and {what}", fix=fix)
