"""Operations on runs that clients log: create, log, change, delete, restore."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from kept.core.errors import Conflict, Invalid, NotFound
from kept.core.ids import new_id
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.tracking import location
from kept.tracking.default_names import random_name
from kept.tracking.experiment import Experiment, Lifecycle
from kept.tracking.experiments import active_experiment
from kept.tracking.names import (
    LONGEST_NAME,
    LONGEST_TAG,
    PARENT_TAG,
    RUN_NAME_TAG,
    check_dataset,
    check_length,
    check_metric,
    check_param,
    check_run_id,
    check_tag,
)
from kept.tracking.points import Point
from kept.tracking.records.inputs import put_dataset, put_model_inputs, put_model_outputs
from kept.tracking.records.keys import RunKey
from kept.tracking.records.metrics import put_points
from kept.tracking.records.models import known_models, put_model_points
from kept.tracking.records.runs import insert_run, run_by_id, run_key, set_lifecycle, update_run_row
from kept.tracking.records.values import delete_tag, params_named, put_params, put_tags
from kept.tracking.requests import (
    CreateRun,
    DeleteRun,
    DeleteRunTag,
    LogInputs,
    LogOutputs,
    LogRun,
    RestoreRun,
    SetRunTag,
    UpdateRun,
)
from kept.tracking.run import Run, RunStatus

LOGGED = "logged"
"""The kind of a run that a client logs."""


@operation("runs.create", needs=Permission.CONTRIBUTE, on="experiment", audit=Audit.COUNTED, grouped=True)
def create_logged_run(workspace: Workspace, actor: Actor, request: CreateRun) -> Run:
    """Makes a run of an experiment, begun at once."""
    # Tags that a run begins with may have names that tags set later may not: clients begin runs with such.
    for name, value in request.tags.items():
        check_length("key", name, LONGEST_NAME)
        check_length("value", value, LONGEST_TAG)
    tagged = request.tags.get(RUN_NAME_TAG, "")
    if request.name and tagged and request.name != tagged:
        raise Invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{request.name}', mlflow.runName='{tagged}')."
        )
    name = request.name or tagged or random_name()
    run_id = request.id or new_id().replace("-", "")
    check_run_id(run_id)
    now = workspace.clock.now()
    with workspace.database.writing() as connection:
        experiment = active_experiment(connection, request.experiment)
        if request.id is not None and run_key(connection, run_id) is not None:
            raise Conflict(f"there is a run {run_id} already", where="runs", fix="Give another id, or none")
        run = logged_run(
            experiment,
            run_id,
            name,
            actor,
            now,
            parent=request.parent or request.tags.get(PARENT_TAG) or None,
            tags=request.tags,
            user=request.user,
            started_at=request.started_at or now,
        )
        insert_run(connection, run)
    return run


def logged_run(
    experiment: Experiment,
    run_id: str,
    name: str,
    actor: Actor,
    now: datetime,
    *,
    parent: str | None,
    user: str,
    started_at: datetime,
    tags: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Run:
    """A run that a client logs, as it begins; its name is one of its tags, too."""
    return Run(
        id=run_id,
        project="",
        kind=LOGGED,
        experiment=experiment.id,
        name=name,
        parent=parent,
        status=RunStatus.RUNNING,
        tags={**(tags or {}), RUN_NAME_TAG: name},
        seed=seed,
        created_by=actor.name,
        user=user,
        artifact_location=location.run_location(experiment.artifact_location, run_id),
        created_at=now,
        started_at=started_at,
    )


@operation("runs.update", needs=Permission.CONTRIBUTE, on="run", audit=Audit.COUNTED, grouped=True)
def update_run(workspace: Workspace, actor: Actor, request: UpdateRun) -> Run:
    """Changes the state, the end or the name of a run."""
    del actor
    changes = {
        "status": request.status.value if request.status else None,
        "ended_at": request.ended_at,
        "name": request.name or None,
    }
    with workspace.database.writing() as connection:
        key = _active(connection, request.run)
        given = {name: value for name, value in changes.items() if value is not None}
        if given:
            update_run_row(connection, key, **given)
        if request.name:
            put_tags(connection, key, {RUN_NAME_TAG: request.name})
        return _run(connection, request.run)


@operation("runs.delete", needs=Permission.CONTRIBUTE, on="run")
def delete_run(workspace: Workspace, actor: Actor, request: DeleteRun) -> Run:
    """Deletes a run; it can be restored."""
    del actor
    with workspace.database.writing() as connection:
        set_lifecycle(connection, _known(connection, request.run)[0], Lifecycle.DELETED, workspace.clock.now())
        return _run(connection, request.run)


@operation("runs.restore", needs=Permission.CONTRIBUTE, on="run")
def restore_run(workspace: Workspace, actor: Actor, request: RestoreRun) -> Run:
    """Brings a deleted run back."""
    del actor
    with workspace.database.writing() as connection:
        set_lifecycle(connection, _known(connection, request.run)[0], Lifecycle.ACTIVE, None)
        return _run(connection, request.run)


@operation("runs.log", needs=Permission.CONTRIBUTE, on="run", audit=Audit.COUNTED, grouped=True)
def log_run(workspace: Workspace, actor: Actor, request: LogRun) -> None:
    """Keeps points, parameters and tags of a run: all of them, or none."""
    del actor
    for point in request.metrics:
        check_metric(point.name, point.at, point.step)
    for name, value in request.params.items():
        check_param(name, value)
    for name, value in request.tags.items():
        check_tag(name, value)
    with workspace.database.writing() as connection:
        key = _active(connection, request.run)
        if request.params:
            keep_params(connection, key, request.run, request.params)
        if request.metrics:
            _log_points(connection, key, request.run, request.metrics)
        if request.tags:
            keep_tags(connection, key, request.tags)


@operation("runs.set_tag", needs=Permission.CONTRIBUTE, on="run", audit=Audit.COUNTED, grouped=True)
def set_run_tag(workspace: Workspace, actor: Actor, request: SetRunTag) -> None:
    """Sets a tag of a run."""
    del actor
    check_tag(request.name, request.value)
    with workspace.database.writing() as connection:
        keep_tags(connection, _active(connection, request.run), {request.name: request.value})


@operation("runs.delete_tag", needs=Permission.CONTRIBUTE, on="run")
def delete_run_tag(workspace: Workspace, actor: Actor, request: DeleteRunTag) -> None:
    """Removes a tag of a run."""
    del actor
    with workspace.database.writing() as connection:
        if not delete_tag(connection, _active(connection, request.run), request.name):
            raise NotFound(f"No tag with name: {request.name} in run with id {request.run}")


@operation("runs.log_inputs", needs=Permission.CONTRIBUTE, on="run", audit=Audit.COUNTED, grouped=True)
def log_inputs(workspace: Workspace, actor: Actor, request: LogInputs) -> None:
    """Notes datasets and logged models that a run read; what is noted already is left."""
    del actor
    for read in request.datasets:
        check_dataset(read)
    with workspace.database.writing() as connection:
        key = _active(connection, request.run)
        for read in request.datasets:
            put_dataset(connection, key, read)
        put_model_inputs(connection, key, request.models)


@operation("runs.log_outputs", needs=Permission.CONTRIBUTE, on="run", audit=Audit.COUNTED, grouped=True)
def log_outputs(workspace: Workspace, actor: Actor, request: LogOutputs) -> None:
    """Notes logged models that a run made."""
    del actor
    with workspace.database.writing() as connection:
        put_model_outputs(connection, _active(connection, request.run), request.models)


def keep_params(connection: Connection, key: RunKey, run_id: str, values: Mapping[str, str]) -> None:
    """Adds parameters to a run; `Invalid` when one of them has another value already."""
    known = params_named(connection, key, values)
    changed = [name for name, value in values.items() if known.get(name, value) != value]
    if changed and len(values) == 1:
        name = changed[0]
        raise Invalid(
            f"Changing param values is not allowed. Param with key='{name}' was already logged with "
            f"value='{known[name]}' for run ID='{run_id}'. Attempted logging new value '{values[name]}'."
        )
    if changed:
        told = [{"key": name, "old_value": known[name], "new_value": values[name]} for name in changed]
        raise Invalid(
            f"Changing param values is not allowed. Params were already logged='{told}' for run ID='{run_id}'."
        )
    put_params(connection, key, {name: value for name, value in values.items() if name not in known})


def _log_points(connection: Connection, key: RunKey, run_id: str, logged: Sequence[Point]) -> None:
    put_points(connection, key, logged)
    of_models = [point for point in logged if point.model is not None]
    if of_models:
        named = {str(point.model) for point in of_models}
        if absent := sorted(named - known_models(connection, named)):
            raise NotFound(f"Logged model with ID '{absent[0]}' not found.")
        put_model_points(connection, run_id, of_models)


def keep_tags(connection: Connection, key: RunKey, tags: Mapping[str, str]) -> None:
    """Sets tags of a run; one of them is its name, which it keeps when it is told to have none."""
    given = {name: value for name, value in tags.items() if name != RUN_NAME_TAG or value}
    put_tags(connection, key, given)
    if RUN_NAME_TAG in given:
        update_run_row(connection, key, name=given[RUN_NAME_TAG])


def _known(connection: Connection, run_id: str) -> tuple[RunKey, Lifecycle]:
    found = run_key(connection, run_id)
    if found is None:
        raise NotFound(f"Run with id={run_id} not found")
    return found


def _active(connection: Connection, run_id: str) -> RunKey:
    key, lifecycle = _known(connection, run_id)
    if lifecycle is not Lifecycle.ACTIVE:
        raise Invalid(f"The run {run_id} must be in the 'active' state. Current state is {lifecycle}.")
    return key


def _run(connection: Connection, run_id: str) -> Run:
    run = run_by_id(connection, run_id)
    if run is None:
        raise NotFound(f"Run with id={run_id} not found")
    return run
