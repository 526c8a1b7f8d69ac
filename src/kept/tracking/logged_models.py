"""Operations on logged models: create, finalize, search, tag, delete."""

from kept.core.errors import Invalid, NotFound
from kept.core.ids import new_id
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.tracking import location
from kept.tracking.default_names import random_name
from kept.tracking.experiment import Lifecycle
from kept.tracking.experiments import active_experiment
from kept.tracking.grammar import experiment_numbers, model_orders, model_terms
from kept.tracking.logged_model import LoggedModel, LoggedModelPage
from kept.tracking.paging import check_limit, check_named, offset_of, token_of
from kept.tracking.records import models as records
from kept.tracking.records.model_searching import search_model_rows
from kept.tracking.requests import (
    LARGEST_PAGE,
    CreateLoggedModel,
    DeleteLoggedModel,
    DeleteLoggedModelTag,
    FinalizeLoggedModel,
    LogLoggedModelParams,
    SearchLoggedModels,
    SetLoggedModelTags,
    ShowLoggedModel,
)

_MOST_DATASETS = 100
"""How many datasets a question can name: each is a condition within every term of its filter."""
_NOT_IN_NAMES = ("/", ":", ".", "%", '"', "'")


@operation("logged_models.create", needs=Permission.CONTRIBUTE, on="experiment", audit=Audit.COUNTED, grouped=True)
def create_logged_model(workspace: Workspace, actor: Actor, request: CreateLoggedModel) -> LoggedModel:
    """Makes a logged model whose files are about to be put down."""
    _check_name(request.name)
    model_id = f"m-{new_id().replace('-', '')}"
    now = workspace.clock.now()
    with workspace.database.writing() as connection:
        experiment = active_experiment(connection, request.experiment)
        model = LoggedModel(
            id=model_id,
            experiment=experiment.id,
            name=request.name or random_name(),
            artifact_location=location.model_location(experiment.artifact_location, model_id),
            run=request.run or None,
            type=request.type,
            tags=request.tags,
            params=request.params,
            created_by=actor.name,
            created_at=now,
            updated_at=now,
        )
        records.insert_model(connection, model)
    return model


@operation("logged_models.show", needs=Permission.VIEW, on="model", audit=Audit.READ)
def show_logged_model(workspace: Workspace, actor: Actor, request: ShowLoggedModel) -> LoggedModel:
    """A logged model; a deleted one only when asked for."""
    del actor
    found = _get(workspace, request.model)
    if found.lifecycle is Lifecycle.DELETED and not request.deleted:
        raise _missing(request.model)
    return found


@operation("logged_models.finalize", needs=Permission.CONTRIBUTE, on="model", audit=Audit.COUNTED, grouped=True)
def finalize_logged_model(workspace: Workspace, actor: Actor, request: FinalizeLoggedModel) -> LoggedModel:
    """Says that the files of a logged model are there, or could not be put down."""
    del actor
    return _change(workspace, request.model, status=request.status.value)


@operation("logged_models.search", needs=Permission.VIEW, audit=Audit.READ)
def search_logged_models(workspace: Workspace, actor: Actor, request: SearchLoggedModels) -> LoggedModelPage:
    """Logged models of experiments that fit, a page at a time; newest first unless ordered otherwise."""
    del actor
    check_limit(request.limit, LARGEST_PAGE)
    check_named(request.experiments, "experiments")
    check_named(request.datasets, "datasets", _MOST_DATASETS)
    offset = offset_of(request.page)
    terms, orders = model_terms(request.filter), model_orders(request.order_by)
    with workspace.database.reading() as connection:
        rows = search_model_rows(
            connection,
            experiment_numbers(request.experiments),
            terms,
            [(dataset.name, dataset.digest) for dataset in request.datasets],
            orders,
            offset=offset,
            limit=request.limit + 1,
        )
        found = records.models_from(connection, rows[: request.limit])
    more = len(rows) > request.limit
    return LoggedModelPage(models=found, next_page=token_of(offset + request.limit) if more else None)


@operation("logged_models.set_tags", needs=Permission.CONTRIBUTE, on="model", audit=Audit.COUNTED, grouped=True)
def set_logged_model_tags(workspace: Workspace, actor: Actor, request: SetLoggedModelTags) -> LoggedModel:
    """Sets tags of a logged model."""
    del actor
    with workspace.database.writing() as connection:
        _get(workspace.inside(connection), request.model)
        records.put_model_tags(connection, request.model, request.tags)
    return _get(workspace, request.model)


@operation("logged_models.delete_tag", needs=Permission.CONTRIBUTE, on="model")
def delete_logged_model_tag(workspace: Workspace, actor: Actor, request: DeleteLoggedModelTag) -> LoggedModel:
    """Removes a tag of a logged model."""
    del actor
    with workspace.database.writing() as connection:
        _get(workspace.inside(connection), request.model)
        if not records.delete_model_tag(connection, request.model, request.name):
            raise NotFound(f"No tag with key {request.name!r} found for model with ID {request.model!r}.")
    return _get(workspace, request.model)


@operation("logged_models.log_params", needs=Permission.CONTRIBUTE, on="model", audit=Audit.COUNTED, grouped=True)
def log_logged_model_params(workspace: Workspace, actor: Actor, request: LogLoggedModelParams) -> LoggedModel:
    """Notes parameters of a logged model; one that is noted never changes, and the same value again is no change."""
    del actor
    with workspace.database.writing() as connection:
        _get(workspace.inside(connection), request.model)
        known = records.params_of_model(connection, request.model)
        changed = [name for name, value in request.params.items() if known.get(name, value) != value]
        if changed:
            told = [{"key": name, "old_value": known[name], "new_value": request.params[name]} for name in changed]
            raise Invalid(
                f"Changing param values is not allowed. Params were already logged='{told}' "
                f"for model ID='{request.model}'."
            )
        new = {name: value for name, value in request.params.items() if name not in known}
        records.put_model_params(connection, request.model, new)
    return _get(workspace, request.model)


@operation("logged_models.delete", needs=Permission.CONTRIBUTE, on="model")
def delete_logged_model(workspace: Workspace, actor: Actor, request: DeleteLoggedModel) -> LoggedModel:
    """Deletes a logged model; its files stay until they are collected."""
    del actor
    return _change(workspace, request.model, lifecycle=Lifecycle.DELETED.value)


def _change(workspace: Workspace, model: str, **changes: str) -> LoggedModel:
    with workspace.database.writing() as connection:
        _get(workspace.inside(connection), model)
        records.change_model(connection, model, workspace.clock.now(), **changes)
    return _get(workspace, model)


def _get(workspace: Workspace, model: str) -> LoggedModel:
    with workspace.database.reading() as connection:
        found = records.model_by_id(connection, model)
    if found is None:
        raise _missing(model)
    return found


def _missing(model: str) -> NotFound:
    return NotFound(f"Logged model with ID '{model}' not found.")


def _check_name(name: str) -> None:
    if any(mark in name for mark in _NOT_IN_NAMES):
        raise Invalid(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string and cannot contain the "
            f"following characters: {_NOT_IN_NAMES}"
        )
