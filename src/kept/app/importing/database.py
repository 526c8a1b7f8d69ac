"""A database of MLflow's: SQLite or PostgreSQL, read and never written.

Each query is for a page or one run, so that a server which writes at the same time does not wait long.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, func, make_url, select
from sqlalchemy.exc import ArgumentError

from kept.app.importing.database_rows import model_of, run_of, series_of, version_of
from kept.app.importing.places import Places
from kept.app.importing.report import Findings
from kept.app.importing.source import FoundFile, Holder, Source, Totals
from kept.app.importing.tables import Row, Tables
from kept.app.importing.words import (
    DELETED_STAGE,
    NO_PLACE,
    PROMPT_TAG,
    SECRETIVE,
    lifecycle,
)
from kept.app.importing.words import text as text_of
from kept.core.errors import Invalid, KeptError, Unavailable
from kept.registry.imported import ImportedRegisteredModel
from kept.tracking.imported import (
    ImportedExperiment,
    ImportedModel,
    ImportedRun,
    Series,
    moment,
    moment_at,
)
from kept.tracking.points import Dataset, DatasetInput, Point, RunPoint

_NEEDED = ("experiments", "runs", "metrics", "params", "tags")
_PAGE = 500
_PIECE = 50_000
_BESIDE = {
    "trace_info": "traces",
    "evaluation_datasets": "evaluation datasets",
    "scorers": "scorers",
    "endpoints": "gateway endpoints",
    "secrets": "secrets",
    "review_queues": "review queues",
    "mcp_servers": "MCP servers",
}


class DatabaseSource:
    """Reads the tables of MLflow's store.

    Args:
        engine: connections that can not write.
        address: what the database is known by, without its password.
        part: MLflow's workspace in it that is read.
    """

    local = True

    def __init__(self, engine: Engine, address: str, places: Places, findings: Findings, *, part: str) -> None:
        self._places = places
        self._findings = findings
        self.address = address if part == "default" else f"{address}#{quote(part)}"
        self._counts: dict[str, int] = {}
        self._tables = Tables(engine, address, part)
        if absent := [name for name in _NEEDED if name not in self._tables]:
            what = f"it has no table {absent[0]}"
            raise Invalid(what, where=address, fix="Name a database that an MLflow server or client has made")

    def totals(self) -> Totals:
        """Runs and points are counted."""
        return Totals(runs=self._tables.count("runs"), points=self._tables.count("metrics"))

    def experiments(self) -> Iterator[ImportedExperiment]:
        """All experiments of the part that is read."""
        experiments = self._tables["experiments"]
        query = select(experiments).where(self._tables.of_part("experiments"))
        rows = self._tables.rows(query.order_by(experiments.c.experiment_id))
        tags = self._tables.texts_of("experiment_tags", "experiment_id", [row.experiment_id for row in rows])
        for row in rows:
            with self._one("experiments", f"{row.experiment_id}", " with all that is in them"):
                yield ImportedExperiment(
                    id=str(row.experiment_id),
                    name=text_of(row.name),
                    lifecycle=lifecycle(row.lifecycle_stage),
                    tags=tags[row.experiment_id],
                    created_at=moment(getattr(row, "creation_time", None), where="experiments"),
                    updated_at=moment(getattr(row, "last_update_time", None), where="experiments"),
                )

    def runs(self, experiment: str) -> Iterator[ImportedRun]:
        """All runs of an experiment."""
        runs = self._tables["runs"]
        query = select(runs).where(runs.c.experiment_id == int(experiment)).order_by(runs.c.run_uuid).limit(_PAGE)
        after = ""
        while rows := self._tables.rows(query.where(runs.c.run_uuid > after)):
            after = rows[-1].run_uuid
            ids = [row.run_uuid for row in rows]
            tags = self._tables.texts_of("tags", "run_uuid", ids)
            params = self._tables.texts_of("params", "run_uuid", ids)
            self._counts = self._points_of(ids)
            datasets, inputs, outputs = self._datasets(ids), self._links("INPUT", ids), self._links("OUTPUT", ids)
            for row in rows:
                with self._one("runs", row.run_uuid):
                    run = row.run_uuid
                    beside = (tags[run], params[run], datasets[run], inputs[run], outputs[run])
                    yield run_of(row, experiment, *beside)

    def evidence(self, run: ImportedRun) -> str:
        """The number of points: they are added and never changed."""
        return str(self._counts.get(run.id, 0))

    def may_hide(self, run: ImportedRun) -> bool:
        """They do not: their number is seen."""
        del run
        return False

    def series(self, run: ImportedRun, after: str) -> Iterator[Series]:
        """Points of the run by name, time and step."""
        metrics = self._tables["metrics"].c
        # In the order of bytes, as Python sorts names.
        name = metrics.key.collate("C") if self._tables.is_postgres else metrics.key
        query = select(metrics.key, metrics.timestamp, metrics.step, metrics.value, metrics.is_nan)
        query = query.where(metrics.run_uuid == run.id, name > after).order_by(name, metrics.timestamp, metrics.step)
        with self._tables.reading() as connection:
            result = connection.execution_options(yield_per=_PIECE).execute(query)
            for rows in result.partitions():
                yield from series_of(run.id, rows)

    def models(self, experiment: str) -> Iterator[ImportedModel]:
        """All logged models of an experiment, deleted ones too."""
        if "logged_models" not in self._tables:
            return
        models = self._tables["logged_models"]
        query = select(models).where(models.c.experiment_id == int(experiment)).order_by(models.c.model_id).limit(_PAGE)
        after = ""
        while rows := self._tables.rows(query.where(models.c.model_id > after)):
            after = rows[-1].model_id
            ids = [row.model_id for row in rows]
            tags = self._tables.texts_of("logged_model_tags", "model_id", ids, ("tag_key", "tag_value"))
            params = self._tables.texts_of("logged_model_params", "model_id", ids, ("param_key", "param_value"))
            points = self._model_points(ids)
            for row in rows:
                with self._one("logged models", row.model_id):
                    yield model_of(row, experiment, tags[row.model_id], params[row.model_id], points[row.model_id])

    def registered_models(self) -> Iterator[ImportedRegisteredModel]:
        """All registered models of the part that is read."""
        if "registered_models" not in self._tables:
            return
        tags = self._named("registered_model_tags")
        aliases = self._named("registered_model_aliases")
        versions: dict[str, list[Row]] = defaultdict(list)
        for row in self._of_part("model_versions"):
            versions[row.name].append(row)
        version_tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for row in self._of_part("model_version_tags"):
            version_tags[row.name, row.version][row.key] = text_of(row.value)
        for row in self._of_part("registered_models"):
            own = {one.key: text_of(one.value) for one in tags[row.name]}
            if own.get(PROMPT_TAG, "").lower() == "true":
                self._findings.out_of_scope("prompts", NO_PLACE, 1)
                continue
            with self._one("registered models", row.name):
                yield ImportedRegisteredModel(
                    name=row.name,
                    description=text_of(row.description),
                    tags=own,
                    aliases={one.alias: int(one.version) for one in aliases[row.name]},
                    versions=[
                        version_of(one, version_tags[one.name, one.version])
                        for one in versions[row.name]
                        if one.current_stage != DELETED_STAGE
                    ],
                    highest=max((int(one.version) for one in versions[row.name]), default=0),
                    created_at=moment_at(row.creation_time, where=row.name),
                    updated_at=moment_at(row.last_updated_time or row.creation_time, where=row.name),
                )

    def files(self, holder: Holder) -> Iterator[FoundFile]:
        """All files of a run or logged model."""
        return self._places.files(holder)

    def pieces(self, holder: Holder, file: FoundFile) -> Iterator[bytes]:
        """The bytes of a file."""
        return self._places.pieces(holder, file)

    def count_left_out(self) -> None:
        """Counts traces and all that has to do with them, and what stands in other parts."""
        for name, what in _BESIDE.items():
            if name in self._tables:
                self._findings.out_of_scope(what, NO_PLACE, self._tables.count(name))
        self._findings.out_of_scope("webhooks", SECRETIVE, self._webhooks())
        for name in ("experiments", "registered_models"):
            for row in self._tables.other_parts(name):
                why = "in another workspace of MLflow's; import it by --mlflow-workspace"
                self._findings.leave_out(name.replace("_", " "), why, row.workspace, row.many)

    def _webhooks(self) -> int:
        """How many there are that were not deleted."""
        if "webhooks" not in self._tables:
            return 0
        webhooks = self._tables["webhooks"]
        return len(self._tables.rows(select(webhooks.c.webhook_id).where(webhooks.c.deleted_timestamp.is_(None))))

    def close(self) -> None:
        """Gives the connections back."""
        self._tables.close()

    def _datasets(self, ids: Sequence[str]) -> dict[str, list[DatasetInput]]:
        found: dict[str, list[DatasetInput]] = defaultdict(list)
        if "inputs" not in self._tables or "datasets" not in self._tables:
            return found
        inputs, datasets, named = (self._tables[name] for name in ("inputs", "datasets", "input_tags"))
        query = (
            select(inputs.c.input_uuid, inputs.c.destination_id, datasets)
            .join_from(inputs, datasets, datasets.c.dataset_uuid == inputs.c.source_id)
            .where(inputs.c.source_type == "DATASET", inputs.c.destination_type == "RUN")
        )
        rows = self._tables.rows_of(query, inputs.c.destination_id, ids)
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        for row in self._tables.rows_of(select(named), named.c.input_uuid, [row.input_uuid for row in rows]):
            tags[row.input_uuid][row.name] = row.value
        for row in rows:
            dataset = Dataset(
                name=row.name,
                digest=row.digest,
                source_type=row.dataset_source_type,
                source=row.dataset_source,
                schema=row.dataset_schema,
                profile=row.dataset_profile,
            )
            found[row.destination_id].append(DatasetInput(dataset=dataset, tags=tags[row.input_uuid]))
        return found

    def _points_of(self, ids: Sequence[str]) -> dict[str, int]:
        metrics = self._tables["metrics"]
        query = select(metrics.c.run_uuid, func.count().label("many")).group_by(metrics.c.run_uuid)
        return {row.run_uuid: row.many for row in self._tables.rows_of(query, metrics.c.run_uuid, ids)}

    def _links(self, role: str, ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        if not self._tables.has("inputs", "step"):
            return found
        inputs = self._tables["inputs"]
        query = select(inputs.c.source_id, inputs.c.destination_id, inputs.c.step).where(
            inputs.c.source_type == f"RUN_{role}", inputs.c.destination_type == f"MODEL_{role}"
        )
        rows = self._tables.rows_of(query.order_by(inputs.c.destination_id), inputs.c.source_id, ids)
        for row in rows:
            found[row.source_id].append((row.destination_id, int(row.step or 0)))
        return found

    def _model_points(self, ids: Sequence[str]) -> dict[str, list[RunPoint]]:
        found: dict[str, list[RunPoint]] = defaultdict(list)
        points = self._tables["logged_model_metrics"]
        for row in self._tables.rows_of(select(points), points.c.model_id, ids):
            value = float("nan") if row.metric_value is None else row.metric_value
            point = Point(
                name=row.metric_name,
                value=value,
                at=row.metric_timestamp_ms,
                step=row.metric_step,
                dataset_name=row.dataset_name,
                dataset_digest=row.dataset_digest,
            )
            found[row.model_id].append(RunPoint(run=row.run_id, point=point))
        return found

    def _named(self, name: str) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self._of_part(name):
            found[row.name].append(row)
        return found

    def _of_part(self, name: str) -> Sequence[Row]:
        if name not in self._tables:
            return []
        columns = self._tables[name].c
        order = [columns.name, columns.version] if name == "model_versions" else [columns.name]
        return self._tables.rows(select(self._tables[name]).where(self._tables.of_part(name)).order_by(*order))

    @contextmanager
    def _one(self, what: str, name: str, more: str = "") -> Iterator[None]:
        """Leaves one thing out when it can not be read."""
        try:
            yield
        except Unavailable:
            raise
        except (KeptError, ValueError, TypeError) as error:
            said = error.what if isinstance(error, KeptError) else str(error)[:200]
            self._findings.leave_out(what + more, said, name)


def sqlite_source(path: Path) -> Engine:
    """Connections to a file of SQLite that can not write."""
    place = quote(os.fspath(path.resolve()))
    engine = create_engine(f"sqlite:///file:{place}?mode=ro&uri=true", connect_args={"timeout": 30})
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def postgres_source(address: str) -> tuple[Engine, str]:
    """Connections to a server that can not write, and its address without the password."""
    try:
        place = make_url(address).set(drivername="postgresql+psycopg")
    except ArgumentError as error:
        fix = "Write it like postgresql://user@host:5432/name"
        raise Invalid("it is no address of a database", where="import", fix=fix) from error
    try:
        engine = create_engine(place, connect_args={"options": "-c default_transaction_read_only=on"})
    except ModuleNotFoundError as error:
        raise Invalid(
            "the driver is not installed", where="import", fix="Install it: pip install 'kept[postgres]'"
        ) from error
    shown = place.set(drivername="postgresql", password=None, query={}).render_as_string()
    return engine, shown


def _fits(source: DatabaseSource) -> Source:
    return source
