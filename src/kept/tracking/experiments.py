"""Operations on experiments: create, find, rename, tag, delete, restore."""

from datetime import datetime

from sqlalchemy import Connection

from kept.core.errors import Conflict, Invalid, NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.tracking import location
from kept.tracking.experiment import Experiment, ExperimentPage, Lifecycle
from kept.tracking.grammar import experiment_numbers, experiment_orders, experiment_terms
from kept.tracking.location import check_address
from kept.tracking.names import LONGEST_EXPERIMENT_TAG, check_experiment_name, check_tag
from kept.tracking.paging import check_limit, offset_of, token_of
from kept.tracking.records import experiments as records
from kept.tracking.records.searching import search_experiment_rows
from kept.tracking.requests import (
    LARGEST_PAGE,
    CreateExperiment,
    DeleteExperiment,
    DeleteExperimentTag,
    FindExperiment,
    RestoreExperiment,
    SearchExperiments,
    SetExperimentTag,
    ShowExperiment,
    UpdateExperiment,
)

_LONGEST_LOCATION = 2_048
_DEFAULT = ("0", "Default")


@operation("experiments.create", needs=Permission.CONTRIBUTE, on="name")
def create_experiment(workspace: Workspace, actor: Actor, request: CreateExperiment) -> Experiment:
    """Makes an experiment; `Conflict` when one has the name, deleted or not."""
    del actor
    check_experiment_name(request.name)
    for name, value in request.tags.items():
        check_tag(name, value, longest=LONGEST_EXPERIMENT_TAG)
    if request.artifact_location:
        _check_location(request.artifact_location)
    with workspace.database.writing() as connection:
        _expect_free(connection, request.name)
        return records.insert_experiment(
            connection,
            name=request.name,
            location=request.artifact_location or location.EXPERIMENT,
            tags=request.tags,
            at=workspace.clock.now(),
        )


@operation("experiments.show", needs=Permission.VIEW, on="experiment", audit=Audit.READ)
def show_experiment(workspace: Workspace, actor: Actor, request: ShowExperiment) -> Experiment:
    """An experiment, deleted or not."""
    del actor
    with workspace.database.reading() as connection:
        return get_experiment(connection, request.experiment)


@operation("experiments.find", needs=Permission.VIEW, on="name", audit=Audit.READ)
def find_experiment(workspace: Workspace, actor: Actor, request: FindExperiment) -> Experiment:
    """The experiment with a name, deleted or not."""
    del actor
    with workspace.database.reading() as connection:
        found = records.experiment_by_name(connection, request.name)
    if found is None:
        raise NotFound(f"Could not find experiment with name '{request.name}'")
    return found


@operation("experiments.search", needs=Permission.VIEW, audit=Audit.READ)
def search_experiments(workspace: Workspace, actor: Actor, request: SearchExperiments) -> ExperimentPage:
    """Experiments that fit, a page at a time; newest first unless ordered otherwise."""
    del actor
    check_limit(request.limit, LARGEST_PAGE)
    offset = offset_of(request.page)
    terms = experiment_terms(request.filter)
    orders = experiment_orders(request.order_by)
    with workspace.database.reading() as connection:
        rows = search_experiment_rows(
            connection, terms, orders, request.view.lifecycles, offset=offset, limit=request.limit + 1
        )
        found = records.experiments_from(connection, rows[: request.limit])
    more = len(rows) > request.limit
    return ExperimentPage(experiments=found, next_page=token_of(offset + request.limit) if more else None)


@operation("experiments.update", needs=Permission.CONTRIBUTE, on="experiment")
def update_experiment(workspace: Workspace, actor: Actor, request: UpdateExperiment) -> Experiment:
    """Gives an experiment another name."""
    del actor
    check_experiment_name(request.name)
    with workspace.database.writing() as connection:
        found = get_experiment(connection, request.experiment)
        if found.lifecycle is not Lifecycle.ACTIVE:
            raise Conflict("Cannot rename a non-active experiment.")
        if found.name != request.name:
            _expect_free(connection, request.name)
        changes = {"name": request.name, "updated_at": workspace.clock.now()}
        records.change_experiment(connection, int(found.id), **changes)
        return get_experiment(connection, found.id)


@operation("experiments.delete", needs=Permission.CONTRIBUTE, on="experiment")
def delete_experiment(workspace: Workspace, actor: Actor, request: DeleteExperiment) -> Experiment:
    """Deletes an experiment with its runs; both can be restored."""
    del actor
    return _turn(workspace, request.experiment, Lifecycle.ACTIVE, Lifecycle.DELETED)


@operation("experiments.restore", needs=Permission.CONTRIBUTE, on="experiment")
def restore_experiment(workspace: Workspace, actor: Actor, request: RestoreExperiment) -> Experiment:
    """Brings a deleted experiment back with its runs."""
    del actor
    return _turn(workspace, request.experiment, Lifecycle.DELETED, Lifecycle.ACTIVE)


@operation("experiments.set_tag", needs=Permission.CONTRIBUTE, on="experiment", audit=Audit.COUNTED, grouped=True)
def set_experiment_tag(workspace: Workspace, actor: Actor, request: SetExperimentTag) -> None:
    """Sets a tag of an experiment."""
    del actor
    check_tag(request.name, request.value, longest=LONGEST_EXPERIMENT_TAG)
    with workspace.database.writing() as connection:
        found = active_experiment(connection, request.experiment)
        records.set_experiment_tags(connection, int(found.id), {request.name: request.value})


@operation("experiments.delete_tag", needs=Permission.CONTRIBUTE, on="experiment")
def delete_experiment_tag(workspace: Workspace, actor: Actor, request: DeleteExperimentTag) -> None:
    """Removes a tag of an experiment."""
    del actor
    with workspace.database.writing() as connection:
        found = active_experiment(connection, request.experiment)
        if not records.delete_experiment_tag(connection, int(found.id), request.name):
            raise NotFound(f"No tag with name: {request.name} in experiment with id {found.id}")


def ensure_default_experiment(workspace: Workspace) -> None:
    """Makes experiment 0, to which clients log when they name none; an experiment that has its name keeps it."""
    with workspace.database.reading() as connection:
        if records.experiment_by_id(connection, _DEFAULT[0]) is not None:
            return
    with workspace.database.writing() as connection:
        known = (
            records.experiment_by_id(connection, _DEFAULT[0]),
            records.experiment_by_name(connection, _DEFAULT[1]),
        )
        if known == (None, None):
            records.insert_experiment(
                connection,
                name=_DEFAULT[1],
                location=location.EXPERIMENT,
                tags={},
                at=workspace.clock.now(),
                number=int(_DEFAULT[0]),
            )


def get_experiment(connection: Connection, experiment: str) -> Experiment:
    """The experiment, deleted or not; `NotFound` when there is none, `Invalid` when that is no whole number."""
    number = str(experiment_numbers([experiment])[0])
    found = records.experiment_by_id(connection, number)
    if found is None:
        raise _missing(experiment)
    return found


def active_experiment(connection: Connection, experiment: str) -> Experiment:
    """The experiment; `NotFound` when there is none, `Invalid` when it is deleted."""
    found = get_experiment(connection, experiment)
    if found.lifecycle is not Lifecycle.ACTIVE:
        raise Invalid(f"The experiment {found.id} must be in the 'active' state. Current state is {found.lifecycle}.")
    return found


def experiment_named(connection: Connection, name: str, now: datetime) -> Experiment:
    """The experiment of this name; made when there is none, brought back when it was deleted."""
    found = records.experiment_by_name(connection, name)
    if found is None:
        return records.insert_experiment(connection, name=name, location=location.EXPERIMENT, tags={}, at=now)
    if found.lifecycle is not Lifecycle.ACTIVE:
        records.change_experiment(connection, int(found.id), lifecycle=Lifecycle.ACTIVE.value, updated_at=now)
    return found


def _turn(workspace: Workspace, experiment: str, before: Lifecycle, after: Lifecycle) -> Experiment:
    now = workspace.clock.now()
    with workspace.database.writing() as connection:
        found = get_experiment(connection, experiment)
        if found.lifecycle is not before:
            raise _missing(experiment)
        records.change_experiment(connection, int(found.id), lifecycle=after.value, updated_at=now)
        records.set_runs_lifecycle(connection, int(found.id), after, now if after is Lifecycle.DELETED else None)
        return get_experiment(connection, experiment)


def _expect_free(connection: Connection, name: str) -> None:
    taken = records.experiment_by_name(connection, name)
    if taken is not None:
        deleted = "" if taken.lifecycle is Lifecycle.ACTIVE else " It is deleted"
        fix = "Restore it, or choose another name" if deleted else "Choose another name"
        raise Conflict(f"Experiment(name={name}) already exists.{deleted}", fix=fix)


def _check_location(address: str) -> None:
    check_address(address, "artifact_location")
    if address.startswith("runs:"):
        raise Invalid(f"Artifact location cannot be a runs:/ URI. Given: '{address}'")
    if len(address) > _LONGEST_LOCATION:
        raise Invalid(
            f"Invalid artifact path length. The length of the artifact path cannot be greater than "
            f"{_LONGEST_LOCATION} characters."
        )


def _missing(experiment: str) -> NotFound:
    return NotFound(f"No Experiment with id={experiment} exists")
