"""Importing what another tracking server holds: in bulk, in one transaction each, idempotent.

What was brought is noted by its source and what it was called there. Only whoever administers a workspace may do it: it
writes a history, with the names and times of others.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.tracking import location
from kept.tracking.artifact_files import checked
from kept.tracking.artifacts import Artifact
from kept.tracking.experiment import Experiment, Lifecycle
from kept.tracking.imported import (
    ImportAnswer,
    ImportedExperiment,
    ImportedModel,
    ImportedRun,
    ImportExperiments,
    ImportFiles,
    ImportModels,
    ImportRuns,
    Known,
    ListImported,
    SettleImport,
    check_experiment,
    check_model,
    check_run,
)
from kept.tracking.logged_model import LoggedModel
from kept.tracking.names import PARENT_TAG, RUN_NAME_TAG
from kept.tracking.recording import LOGGED
from kept.tracking.records import experiments as experiment_rows
from kept.tracking.records import importing as records
from kept.tracking.records import models as model_rows
from kept.tracking.records.artifacts import put_artifact
from kept.tracking.records.inputs import (
    datasets_of,
    inputs_of,
    outputs_of,
    put_dataset,
    put_model_inputs,
    put_model_outputs,
)
from kept.tracking.records.keys import RunKey
from kept.tracking.records.runs import run_key, runs_by_id, update_run_row
from kept.tracking.records.values import params_of, put_params, put_tags
from kept.tracking.run import Run

EXPERIMENT, RUN, MODEL = "experiment", "run", "logged_model"


@operation("imports.list", needs=Permission.ADMINISTER, on="source", audit=Audit.READ, remote=False)
def list_imported(workspace: Workspace, actor: Actor, request: ListImported) -> list[Known]:
    """What was brought from a source, and how far each thing is."""
    del actor
    with workspace.database.reading() as connection:
        return records.all_known(connection, request.source)


@operation("imports.experiments", needs=Permission.ADMINISTER, on="source", remote=False)
def import_experiments(workspace: Workspace, actor: Actor, request: ImportExperiments) -> ImportAnswer:
    """Brings experiments; one whose name is taken is matched with the one that has it."""
    del actor
    now = workspace.clock.now()
    known: list[Known] = []
    new = matched = 0
    with workspace.database.writing() as connection:
        before = records.known_of(connection, request.source, EXPERIMENT, [one.id for one in request.experiments])
        for one in request.experiments:
            check_experiment(one)
            earlier = before.get(one.id)
            held = experiment_rows.experiment_by_id(connection, earlier.local) if earlier else None
            if held is not None:
                _update_experiment(connection, held, one, now)
            else:
                held = experiment_rows.experiment_by_name(connection, one.name)
                matched += held is not None
                new += held is None
                if held is None:
                    held = _insert_experiment(connection, one, now)
                else:
                    missing = {name: value for name, value in one.tags.items() if name not in held.tags}
                    experiment_rows.set_experiment_tags(connection, int(held.id), missing)
            known.append(Known(kind=EXPERIMENT, foreign=one.id, local=held.id))
        records.put_known(connection, request.source, known, now)
    return ImportAnswer(local={one.foreign: one.local for one in known}, new=new, matched=matched)


@operation("imports.runs", needs=Permission.ADMINISTER, on="source", remote=False)
def import_runs(workspace: Workspace, actor: Actor, request: ImportRuns) -> ImportAnswer:
    """Brings runs, and points of runs that were brought: what is here already is left."""
    now = workspace.clock.now()
    for run in request.runs:
        check_run(run)
    source = request.source
    with workspace.database.writing() as connection:
        ids = [*(run.id for run in request.runs), *(one.run for one in request.series)]
        known = records.known_of(connection, source, RUN, ids)
        batch = _Runs(connection, source, actor.name, now, request.runs)
        settled = batch.settle(known)
        records.put_known(connection, source, settled, now)
        local = {foreign: one.local for foreign, one in known.items()} | {one.foreign: one.local for one in settled}
        keys = {**batch.keys}
        for one in request.series:
            if one.run not in keys and (found := run_key(connection, local[one.run])) is not None:
                keys[one.run] = found[0]
        points = records.put_series(connection, keys, [one for one in request.series if one.run in keys])
    return ImportAnswer(local=local, new=batch.new, changed=batch.changed, matched=batch.matched, points=points)


@operation("imports.models", needs=Permission.ADMINISTER, on="source", remote=False)
def import_models(workspace: Workspace, actor: Actor, request: ImportModels) -> ImportAnswer:
    """Brings logged models with their parameters, tags and points."""
    now = workspace.clock.now()
    source = request.source
    known: list[Known] = []
    new = matched = 0
    with workspace.database.writing() as connection:
        before = records.known_of(connection, source, MODEL, [one.id for one in request.models])
        experiments = records.known_of(connection, source, EXPERIMENT, [one.experiment for one in request.models])
        makers = [one.run for one in request.models if one.run] + [
            two.run for one in request.models for two in one.points
        ]
        runs = {name: one.local for name, one in records.known_of(connection, source, RUN, makers).items()}
        for one in request.models:
            check_model(one)
            model = _model(one, experiments[one.experiment].local, runs, actor.name)
            earlier = before.get(one.id)
            held = model_rows.model_by_id(connection, earlier.local if earlier else one.id)
            if held is not None and earlier is None and not _may_be(held, one, model.experiment):
                model = _renamed(model, _other_id(source, one.id))
                held = model_rows.model_by_id(connection, model.id)
            matched += earlier is None and held is not None
            new += held is None
            if held is None:
                model_rows.insert_model(connection, model)
            else:
                model = _renamed(model, held.id)
                _update_model(connection, held, model, one)
            for two in one.points:
                point = msgspec.structs.replace(two.point, model=model.id)
                model_rows.put_model_points(connection, runs.get(two.run, two.run), [point])
            cursor = earlier.cursor if earlier else ""
            known.append(Known(kind=MODEL, foreign=one.id, local=model.id, cursor=cursor))
        records.put_known(connection, source, known, now)
    return ImportAnswer(local={one.foreign: one.local for one in known}, new=new, matched=matched)


@operation("imports.files", needs=Permission.ADMINISTER, on="source", remote=False)
def import_files(workspace: Workspace, actor: Actor, request: ImportFiles) -> None:
    """Notes size and digest of files that were brought to their places."""
    del actor
    now = workspace.clock.now()
    with workspace.database.writing() as connection:
        for one in request.files:
            checked(one.path)
            put_artifact(connection, Artifact(path=one.path, size=one.size, digest=one.digest, at=now))


@operation("imports.settle", needs=Permission.ADMINISTER, on="source", audit=Audit.COUNTED, remote=False)
def settle_import(workspace: Workspace, actor: Actor, request: SettleImport) -> None:
    """Notes which things are here whole, and how far the others are."""
    del actor
    with workspace.database.writing() as connection:
        records.put_known(connection, request.source, request.things, workspace.clock.now())


def points_here(workspace: Workspace, ids: Sequence[str], name: str | None = None) -> Iterator[tuple[Any, ...]]:
    """The points of runs, of one metric where it is named, many at a time.

    As columns: id of the run, name of the metric, time, step, value, whether not a number.
    """
    with workspace.database.reading() as connection:
        runs = {row.number: row.id for row in records.taken_runs(connection, ids).values()}
        for rows in records.points_of(connection, list(runs), name):
            numbers, *columns = zip(*rows, strict=True)
            yield ([runs[number] for number in numbers], *columns)


def model_here(workspace: Workspace, model: str) -> LoggedModel | None:
    """A logged model as it is here, deleted or not, or None."""
    with workspace.database.reading() as connection:
        return model_rows.model_by_id(connection, model)


def runs_here(workspace: Workspace, ids: Sequence[str]) -> dict[str, ImportedRun]:
    """Runs as they are here, in the form in which they are brought, by id."""
    with workspace.database.reading() as connection:
        found = runs_by_id(connection, ids)
        numbers = [number for number, _ in found]
        params, datasets = params_of(connection, numbers), datasets_of(connection, numbers)
        inputs, outputs = inputs_of(connection, numbers), outputs_of(connection, numbers)
    return {
        run.id: ImportedRun(
            id=run.id,
            experiment=run.experiment,
            name=run.name,
            user=run.user,
            status=run.status,
            lifecycle=run.lifecycle,
            started_at=run.started_at,
            ended_at=run.ended_at,
            deleted_at=run.deleted_at,
            tags=run.tags,
            params=params.get(number, {}),
            datasets=datasets.get(number, []),
            model_inputs=inputs.get(number, []),
            outputs=outputs.get(number, []),
            location=run.artifact_location,
        )
        for number, run in found
    }


class _Runs:
    """The runs of one batch, as they are settled in its transaction."""

    def __init__(
        self, connection: Connection, source: str, actor: str, now: datetime, runs: Sequence[ImportedRun]
    ) -> None:
        self.keys: dict[str, RunKey] = {}
        self.new = self.changed = self.matched = 0
        self._connection = connection
        self._source = source
        self._actor = actor
        self._now = now
        self._runs = runs

    def settle(self, known: dict[str, Known]) -> list[Known]:
        """Makes those that are new, changes those that are here; what is now known of each."""
        connection, source = self._connection, self._source
        names = [one.experiment for one in self._runs]
        experiments = {name: one.local for name, one in records.known_of(connection, source, EXPERIMENT, names).items()}
        parents = [one.tags[PARENT_TAG] for one in self._runs if PARENT_TAG in one.tags]
        renamed = {name: one.local for name, one in records.known_of(connection, source, RUN, parents).items()}
        ids = [known[one.id].local if one.id in known else one.id for one in self._runs]
        here = records.taken_runs(connection, ids)
        settled, new, params = [], [], []
        for one, local in zip(self._runs, ids, strict=True):
            run = _run(one, local, experiments[one.experiment], renamed, self._actor, self._now)
            taken = here.get(local)
            if one.id not in known and taken is not None:
                if (str(taken.experiment), taken.started_at) == (run.experiment, run.started_at):
                    self.matched += 1
                else:
                    run = _run(
                        one, _other_id(source, one.id), experiments[one.experiment], renamed, self._actor, self._now
                    )
                    taken = None
                    records.rename_run_of_models(connection, self._models(one), one.id, run.id)
            if taken is None:
                new.append(run)
                params.append(one.params)
            else:
                key = RunKey(taken.number, taken.experiment)
                self.keys[one.id] = key
                self.changed += one.id in known
                self._update(key, run, one)
            earlier = known.get(one.id)
            settled.append(Known(kind=RUN, foreign=one.id, local=run.id, cursor=earlier.cursor if earlier else ""))
        made = records.insert_runs(connection, new, params)
        self.new = len(made)
        self.keys |= {one.foreign: made[one.local] for one in settled if one.local in made}
        self._put_read_and_made()
        return settled

    def _update(self, key: RunKey, run: Run, one: ImportedRun) -> None:
        changes = {"name": run.name, "status": run.status.value, "ended_at": run.ended_at}
        changes |= {"lifecycle": run.lifecycle.value, "deleted_at": run.deleted_at}
        if not one.stays:
            changes["artifact_location"] = run.artifact_location
        update_run_row(self._connection, key, **changes)
        put_tags(self._connection, key, run.tags)
        put_params(self._connection, key, one.params)

    def _put_read_and_made(self) -> None:
        models = {name for one in self._runs for name in (*one.model_inputs, *(made.model for made in one.outputs))}
        known = records.known_of(self._connection, self._source, MODEL, models)
        local = {name: known[name].local if name in known else name for name in models}
        for one in self._runs:
            key = self.keys[one.id]
            for read in one.datasets:
                put_dataset(self._connection, key, read)
            if one.model_inputs:
                put_model_inputs(self._connection, key, [local[name] for name in one.model_inputs])
            if one.outputs:
                outputs = [msgspec.structs.replace(made, model=local[made.model]) for made in one.outputs]
                there = outputs_of(self._connection, [key.number]).get(key.number, [])
                put_model_outputs(self._connection, key, [made for made in outputs if made not in there])

    @staticmethod
    def _models(one: ImportedRun) -> list[str]:
        return [made.model for made in one.outputs]


def _run(one: ImportedRun, local: str, experiment: str, renamed: dict[str, str], actor: str, now: datetime) -> Run:
    name = one.name or one.tags.get(RUN_NAME_TAG, "")
    tags = dict(one.tags)
    if name:
        tags[RUN_NAME_TAG] = name
    if PARENT_TAG in tags:
        tags[PARENT_TAG] = renamed.get(tags[PARENT_TAG], tags[PARENT_TAG])
    deleted = one.lifecycle is Lifecycle.DELETED
    return Run(
        id=local,
        project="",
        kind=LOGGED,
        experiment=experiment,
        name=name,
        parent=tags.get(PARENT_TAG) or None,
        status=one.status,
        tags=tags,
        created_by=actor,
        user=one.user,
        artifact_location=one.location if one.stays else run_location(experiment, local),
        lifecycle=one.lifecycle,
        created_at=one.started_at or now,
        started_at=one.started_at,
        ended_at=one.ended_at,
        deleted_at=(one.deleted_at or now) if deleted else None,
    )


def run_location(experiment: str, run: str) -> str:
    """Where the files of a run that is brought stand here, wherever those of its experiment's other runs do."""
    return location.run_location(location.EXPERIMENT.format(experiment=experiment), run)


def model_location(experiment: str, model: str) -> str:
    """Where the files of a logged model that is brought stand here."""
    return location.model_location(location.EXPERIMENT.format(experiment=experiment), model)


def _model(one: ImportedModel, experiment: str, runs: dict[str, str], actor: str) -> LoggedModel:
    return LoggedModel(
        id=one.id,
        experiment=experiment,
        name=one.name or one.id,
        artifact_location=one.location if one.stays else model_location(experiment, one.id),
        run=runs.get(one.run, one.run) if one.run else None,
        type=one.type,
        status=one.status,
        status_message=one.status_message,
        lifecycle=one.lifecycle,
        tags=one.tags,
        params=one.params,
        created_by=actor,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def _renamed(model: LoggedModel, local: str) -> LoggedModel:
    own = model_location(model.experiment, model.id)
    place = model_location(model.experiment, local) if model.artifact_location == own else model.artifact_location
    return msgspec.structs.replace(model, id=local, artifact_location=place)


def _may_be(held: LoggedModel, one: ImportedModel, experiment: str) -> bool:
    """Whether a logged model that is here may be the one that was brought."""
    return held.experiment == experiment and one.name in {"", held.name}


def _update_model(connection: Connection, held: LoggedModel, model: LoggedModel, one: ImportedModel) -> None:
    changes: dict[str, str | None] = {"lifecycle": model.lifecycle.value}
    if one.name:
        changes |= {"status": model.status.value, "status_message": model.status_message}
    if not one.stays:
        changes["artifact_location"] = model.artifact_location
    model_rows.change_model(connection, held.id, max(held.updated_at, model.updated_at), **changes)
    model_rows.put_model_tags(connection, held.id, model.tags)
    model_rows.put_model_params(connection, held.id, model.params)


def _insert_experiment(connection: Connection, one: ImportedExperiment, now: datetime) -> Experiment:
    at = one.created_at or now
    made = experiment_rows.insert_experiment(
        connection, name=one.name, location=location.EXPERIMENT, tags=one.tags, at=at
    )
    changes = {"lifecycle": one.lifecycle.value, "updated_at": one.updated_at or at}
    experiment_rows.change_experiment(connection, int(made.id), **changes)
    return made


def _update_experiment(connection: Connection, held: Experiment, one: ImportedExperiment, now: datetime) -> None:
    new = {name: value for name, value in one.tags.items() if held.tags.get(name) != value}
    if new:
        experiment_rows.set_experiment_tags(connection, int(held.id), new)
        experiment_rows.change_experiment(connection, int(held.id), updated_at=now)


def _other_id(source: str, foreign: str) -> str:
    """An id for a thing whose own is taken: always the same for the same thing."""
    digits = hashlib.sha256(f"{source}\n{foreign}".encode()).hexdigest()[:32]
    return f"m-{digits}" if foreign.startswith("m-") else digits
