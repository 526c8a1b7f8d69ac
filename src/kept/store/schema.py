"""The data dictionary: every table of records that Kept keeps.

Only `kept.*.records` modules import this. Times are UTC and stored as whole microseconds since 1970, so they sort
and compare exactly on every database. `Json` columns hold canonical JSON of the facts named beside them.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, stored as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuses a time without zone: it would be read back as another moment."""
        del dialect
        if value is None:
            return None
        return (value.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """The moment, with the zone UTC."""
        del dialect
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """Plain values (what `msgspec.to_builtins` gives) as canonical JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """None is stored as NULL."""
        del dialect
        return None if value is None else msgspec.json.encode(value, order="deterministic").decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Dicts, lists, texts and numbers."""
        del dialect
        return None if value is None else msgspec.json.decode(value)


metadata = MetaData()
_ID = String(36)
_NAME = String(250)
_DIGEST = String(71)

# --- plan ---------------------------------------------------------------------------------------------------------

projects = Table(
    "projects",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("question", Text, nullable=False),
    Column("owner", _NAME, nullable=False),
    Column("plan", Json, nullable=False),  # the declarations as plain values
    Column("plan_digest", _DIGEST, nullable=False),
    Column("source", Text, nullable=False),  # the file that declares it, as its owner registered it
    Column("updated_at", Moment, nullable=False),
)

# --- governance ---------------------------------------------------------------------------------------------------

audit = Table(
    "audit",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, ... without a gap
    Column("at", Moment, nullable=False),
    Column("actor", _NAME, nullable=False),
    Column("origin", String(40), nullable=False),  # cli, api, loop, ...
    Column("action", _NAME, nullable=False),  # the operation's name
    Column("subject", Text, nullable=False),  # what it was done to
    Column("outcome", String(20), nullable=False),  # done, refused, failed
    Column("details", Json, nullable=False),  # the request with its reason and evidence; the error
    Column("previous", _DIGEST, nullable=False),
    Column("digest", _DIGEST, nullable=False),
)
Index("audit_subject", audit.c.subject, audit.c.sequence)

audit_counts = Table(
    "audit_counts",
    metadata,
    Column("hour", Moment, primary_key=True),
    Column("actor", _NAME, primary_key=True),
    Column("action", _NAME, primary_key=True),
    Column("subject", _NAME, primary_key=True),
    Column("count", Integer, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", String(20), nullable=False),  # approval, waiver
    Column("subject", _ID, nullable=False),  # the model version
    Column("actor", _NAME, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Moment, nullable=False),
)
Index("approvals_subject", approvals.c.subject)

# --- data ---------------------------------------------------------------------------------------------------------

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project", _NAME, nullable=False),
    Column("dataset", _NAME, nullable=False),
    Column("number", Integer, nullable=False),  # 1, 2, 3, ... of this dataset
    Column("table_version", Integer, nullable=False),  # the Delta version that holds it
    Column("mode", String(10), nullable=False),  # append, replace
    Column("fingerprint", _DIGEST, nullable=False),  # of the content, whatever the order of rows
    Column("rows", BigInteger, nullable=False),
    Column("rows_added", BigInteger, nullable=False),
    Column("rows_quarantined", BigInteger, nullable=False),
    Column("columns", Json, nullable=False),  # name -> type
    Column("contract_digest", _DIGEST, nullable=False),
    Column("quality", Json, nullable=False),  # reasons of bad rows with counts, findings
    Column("source", Text, nullable=False),
    Column("created_by", _NAME, nullable=False),
    Column("run_id", _ID, nullable=True),
    Column("event_from", Moment, nullable=True),
    Column("event_to", Moment, nullable=True),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("project", "dataset", "number"),
)

contracts = Table(
    "contracts",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("project", _NAME, primary_key=True),
    Column("dataset", _NAME, primary_key=True),
    Column("contract", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
)

label_inbox = Table(
    "label_inbox",
    metadata,
    # Never given twice, also after rows have moved on: it is the order of labels for ever.
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("endpoint", _NAME, nullable=False),
    Column("prediction_id", _NAME, nullable=True),
    Column("key", Text, nullable=True),
    Column("value", Text, nullable=False),
    Column("known_at", Moment, nullable=False),  # event time from which the label is known
    Column("received_at", Moment, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", _NAME, nullable=False),
    sqlite_autoincrement=True,
)
Index("label_inbox_endpoint", label_inbox.c.endpoint, label_inbox.c.sequence)

label_files = Table(
    "label_files",
    metadata,
    Column("endpoint", _NAME, primary_key=True),
    Column("digest", _DIGEST, primary_key=True),  # of the file and of how it was read
    Column("name", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),  # recorded so far
    Column("updated_at", Moment, nullable=False),
)

# --- tracking and pipelines ---------------------------------------------------------------------------------------

experiments = Table(
    "experiments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(500), nullable=False, unique=True),
    Column("artifact_location", Text, nullable=False),
    Column("lifecycle", String(7), nullable=False),  # active, deleted
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True),  # what the tables of logged values call the run: it is short
    Column("id", _ID, nullable=False, unique=True),
    Column("experiment", Integer, nullable=False),
    Column("project", _NAME, nullable=False),  # '' for a run that a client logs
    Column("kind", String(20), nullable=False),  # training, trial, logged, ...
    Column("name", Text, nullable=False),
    Column("parent", _ID, nullable=True),
    Column("status", String(12), nullable=False),  # queued, running, finished, failed, cancelled
    Column("reason", Text, nullable=False),  # why it was started
    Column("request", Json, nullable=False),  # what it was started with
    Column("code", _DIGEST, nullable=True),  # blob: the code snapshot
    Column("environment", _DIGEST, nullable=True),  # blob: interpreter, packages, machine
    Column("seed", BigInteger, nullable=False),
    Column("error", Text, nullable=True),
    Column("created_by", _NAME, nullable=False),
    Column("user", Text, nullable=False),  # who the client says it runs for
    Column("artifact_location", Text, nullable=False),
    Column("lifecycle", String(7), nullable=False),  # active, deleted
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment, nullable=True),
    Column("ended_at", Moment, nullable=True),
    Column("deleted_at", Moment, nullable=True),
    sqlite_autoincrement=True,
)
Index("runs_project", runs.c.project, runs.c.kind, runs.c.created_at)
Index("runs_parent", runs.c.parent)
Index("runs_status", runs.c.status)
Index("runs_begun", runs.c.experiment, runs.c.lifecycle, runs.c.started_at.desc(), runs.c.id)

# Parameters and tags stand by experiment and name: a search reads the ones it asks for and no others.
run_params = Table(
    "run_params",
    metadata,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("run_params_run", run_params.c.run)

run_tags = Table(
    "run_tags",
    metadata,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("run_tags_run", run_tags.c.run)

# One row a metric of a run, with its latest point: of the largest step, then time, then value (not a number is 0 here).
metrics = Table(
    "metrics",
    metadata,
    Column("series", Integer, primary_key=True),  # what `points` calls it: it is short
    Column("experiment", Integer, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("run", Integer, nullable=False),
    Column("nan", SmallInteger, nullable=False),  # 1: the value is not a number, which SQLite cannot hold
    Column("value", Float, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),  # milliseconds since 1970, as clients count
    UniqueConstraint("run", "name"),
    sqlite_autoincrement=True,
)
Index("metrics_value", metrics.c.experiment, metrics.c.name, metrics.c.nan, metrics.c.value, metrics.c.run)

# Every point, once, in the order of its history.
points = Table(
    "points",
    metadata,
    Column("series", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Float, primary_key=True, autoincrement=False),
    Column("nan", SmallInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment", Integer, nullable=False),
    Column("name", String(500), nullable=False),
    Column("digest", String(36), nullable=False),
    Column("source_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text, nullable=True),
    Column("profile", Text, nullable=True),
    UniqueConstraint("experiment", "name", "digest"),
)

run_datasets = Table(
    "run_datasets",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("dataset", Integer, primary_key=True, autoincrement=False),
    Column("tags", Json, nullable=False),
    Column("context", Text, nullable=True),  # what for: the tag that clients give it, for the search
)
Index("run_datasets_dataset", run_datasets.c.dataset)

run_models = Table(
    "run_models",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("model", _ID, nullable=False),  # a logged model
    Column("role", String(6), nullable=False),  # input, output
    Column("step", BigInteger, nullable=False),
)
Index("run_models_run", run_models.c.run)

logged_models = Table(
    "logged_models",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("experiment", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("artifact_location", Text, nullable=False),
    Column("run", _ID, nullable=True),  # the run that made it
    Column("type", Text, nullable=False),
    Column("status", String(7), nullable=False),  # pending, ready, failed
    Column("status_message", Text, nullable=True),
    Column("lifecycle", String(7), nullable=False),  # active, deleted
    Column("created_by", _NAME, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
Index("logged_models_experiment", logged_models.c.experiment, logged_models.c.created_at)

logged_model_params = Table(
    "logged_model_params",
    metadata,
    Column("model", _ID, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("value", Text, nullable=False),
)

logged_model_tags = Table(
    "logged_model_tags",
    metadata,
    Column("model", _ID, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("value", Text, nullable=False),
)

logged_model_points = Table(
    "logged_model_points",
    metadata,
    Column("model", _ID, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("run", _ID, primary_key=True),
    Column("nan", SmallInteger, nullable=False),
    Column("value", Float, nullable=False),
    Column("dataset_name", String(500), nullable=True),
    Column("dataset_digest", String(36), nullable=True),
)
Index("logged_model_points_name", logged_model_points.c.name, logged_model_points.c.model)

artifacts = Table(
    "artifacts",
    metadata,
    Column("path", Text, primary_key=True),  # below the artifacts of the workspace
    Column("size", BigInteger, nullable=False),
    Column("digest", _DIGEST, nullable=False),
    Column("at", Moment, nullable=False),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", _ID, primary_key=True),
    Column("step", _NAME, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("status", String(12), nullable=False),  # waiting, running, finished, cached, failed, skipped
    Column("attempt", Integer, nullable=False),
    Column("started_at", Moment, nullable=True),
    Column("ended_at", Moment, nullable=True),
    Column("cache_key", _DIGEST, nullable=True),
    Column("output", _DIGEST, nullable=True),
    Column("log", _DIGEST, nullable=True),
    Column("done", Float, nullable=True),  # of `total`, in the step's own counting
    Column("total", Float, nullable=True),
    Column("message", Text, nullable=True),  # what it says of itself: progress, why it was not run, the error
    Column("failure", Json, nullable=True),  # the error in its parts
)

step_cache = Table(
    "step_cache",
    metadata,
    Column("key", _DIGEST, primary_key=True),
    Column("output", _DIGEST, nullable=False),
    Column("run_id", _ID, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# --- registry -----------------------------------------------------------------------------------------------------

model_versions = Table(
    "model_versions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project", _NAME, nullable=False),
    Column("model", _NAME, nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", String(12), nullable=False),  # accepted, rejected
    Column("bundle", _DIGEST, nullable=False),
    Column("run_id", _ID, nullable=True),
    Column("verdict", Json, nullable=False),
    Column("card", Json, nullable=False),
    Column("created_by", _NAME, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("model", "number"),
)

model_aliases = Table(
    "model_aliases",
    metadata,
    Column("model", _NAME, primary_key=True),
    Column("alias", _NAME, primary_key=True),
    Column("version_id", _ID, nullable=False),
    Column("set_by", _NAME, nullable=False),
    Column("set_at", Moment, nullable=False),
)

# --- deployment ---------------------------------------------------------------------------------------------------

endpoints = Table(
    "endpoints",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("project", _NAME, nullable=False),
    Column("model", _NAME, nullable=False),
    Column("created_at", Moment, nullable=False),
)

routes = Table(
    "routes",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),  # of the whole routing table: 1, 2, 3, ...
    Column("endpoint", _NAME, nullable=False),
    Column("arms", Json, nullable=False),  # version, bundle, role and weight of each arm
    Column("reason", Text, nullable=False),
    Column("rollout_id", _ID, nullable=True),
    Column("set_by", _NAME, nullable=False),
    Column("at", Moment, nullable=False),
    Column("event_time", Moment, nullable=True),  # the endpoint's event time then
)
Index("routes_endpoint", routes.c.endpoint, routes.c.revision)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("endpoint", _NAME, nullable=False),
    Column("candidate", _ID, nullable=False),  # model version
    Column("champion", _ID, nullable=True),
    Column("rule", Json, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, canary, promoted, rolled_back, replaced
    Column("step", Integer, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("reason", Text, nullable=False),
    Column("event_time", Moment, nullable=True),  # when its present step began, in event time
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
Index("rollouts_endpoint", rollouts.c.endpoint, rollouts.c.created_at)

# --- monitoring and loop ------------------------------------------------------------------------------------------

monitor_states = Table(
    "monitor_states",
    metadata,
    Column("endpoint", _NAME, primary_key=True),
    Column("monitor", _NAME, primary_key=True),  # drift, performance, ...
    Column("version_id", _ID, primary_key=True),
    Column("watermark", Moment, nullable=True),  # event time up to which windows are closed
    Column("state", LargeBinary, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

window_results = Table(
    "window_results",
    metadata,
    Column("endpoint", _NAME, primary_key=True),
    Column("version_id", _ID, primary_key=True),
    Column("start", Moment, primary_key=True),  # event time
    Column("monitor", _NAME, primary_key=True),
    Column("metric", _NAME, primary_key=True),
    Column("slice", _NAME, primary_key=True),  # '' is all rows
    Column("value", Float, nullable=True),
    Column("low", Float, nullable=True),
    Column("high", Float, nullable=True),
    Column("rows", BigInteger, nullable=False),
    Column("holds", Boolean, nullable=True),
)
Index("window_results_monitor", window_results.c.endpoint, window_results.c.monitor, window_results.c.start)

alerts = Table(
    "alerts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project", _NAME, nullable=False),
    Column("endpoint", _NAME, nullable=False),
    Column("kind", String(20), nullable=False),  # drift, decay, objective, errors, latency, quality, ...
    Column("severity", String(10), nullable=False),
    Column("title", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("version_id", _ID, nullable=True),
    Column("event_time", Moment, nullable=True),
    Column("at", Moment, nullable=False),
)
Index("alerts_endpoint", alerts.c.endpoint, alerts.c.at)

notices = Table(
    "notices",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("alert_id", _ID, nullable=False),
    Column("target", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment, nullable=True),  # None: delivered, or given up
    Column("delivered_at", Moment, nullable=True),
    Column("error", Text, nullable=True),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project", _NAME, nullable=False),
    Column("kind", String(20), nullable=False),  # retrain, hold, release, promote, roll_back
    Column("trigger", String(20), nullable=False),  # drift, decay, schedule, data, person
    Column("reason", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("run_id", _ID, nullable=True),
    Column("event_time", Moment, nullable=True),
    Column("at", Moment, nullable=False),
)
Index("decisions_project", decisions.c.project, decisions.c.at)

# --- processes ----------------------------------------------------------------------------------------------------

processes = Table(
    "processes",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", String(10), nullable=False),  # web, work, serve
    Column("host", _NAME, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("address", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("details", Json, nullable=False),
)
