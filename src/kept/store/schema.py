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
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from kept.core.clock import as_utc
from kept.core.errors import Invalid

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
        return (as_utc(value, where="time") - _EPOCH) // timedelta(microseconds=1)

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


class Words(TypeDecorator[str]):
    """Text that sorts and compares by code point on every database; the length is for the reader, nothing holds to it.

    A NUL is refused: not every database can hold it.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Without a length where the database would cut or refuse, and with the order of bytes."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TEXT(collation="C"))
        length = self.impl_instance.length  # type: ignore[attr-defined]
        return dialect.type_descriptor(Text() if length is None else String(length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuses what can not be written."""
        del dialect
        if value is not None and "\0" in value:
            raise Invalid("a text holds the character NUL", where=repr(value[:60]), fix="Leave it out")
        return value


Whole = Integer().with_variant(BigInteger(), "postgresql")
"""A whole number of 64 bits on every database; as a primary key SQLite numbers it only under this name."""

metadata = MetaData()
_ID = Words(36)
_NAME = Words(250)
_DIGEST = Words(71)

# --- plan ---------------------------------------------------------------------------------------------------------

projects = Table(
    "projects",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("question", Words, nullable=False),
    Column("owner", _NAME, nullable=False),
    Column("plan", Json, nullable=False),  # the declarations as plain values
    Column("plan_digest", _DIGEST, nullable=False),
    Column("source", Words, nullable=False),  # the file that declares it, as its owner registered it
    Column("updated_at", Moment, nullable=False),
)

# --- governance ---------------------------------------------------------------------------------------------------

audit = Table(
    "audit",
    metadata,
    Column("sequence", Whole, primary_key=True, autoincrement=False),  # 1, 2, 3, ... without a gap
    Column("at", Moment, nullable=False),
    Column("actor", _NAME, nullable=False),
    Column("origin", Words(40), nullable=False),  # cli, api, loop, ...
    Column("action", _NAME, nullable=False),  # the operation's name
    Column("subject", Words, nullable=False),  # what it was done to
    Column("outcome", Words(20), nullable=False),  # done, refused, failed
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
    Column("count", Whole, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", Words(20), nullable=False),  # approval, waiver
    Column("subject", _ID, nullable=False),  # the model version
    Column("actor", _NAME, nullable=False),
    Column("reason", Words, nullable=False),
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
    Column("number", Whole, nullable=False),  # 1, 2, 3, ... of this dataset
    Column("table_version", Whole, nullable=False),  # the Delta version that holds it
    Column("mode", Words(10), nullable=False),  # append, replace
    Column("fingerprint", _DIGEST, nullable=False),  # of the content, whatever the order of rows
    Column("rows", BigInteger, nullable=False),
    Column("rows_added", BigInteger, nullable=False),
    Column("rows_quarantined", BigInteger, nullable=False),
    Column("columns", Json, nullable=False),  # name -> type
    Column("contract_digest", _DIGEST, nullable=False),
    Column("quality", Json, nullable=False),  # reasons of bad rows with counts, findings
    Column("source", Words, nullable=False),
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
    Column("sequence", Whole, primary_key=True, autoincrement=True),
    Column("endpoint", _NAME, nullable=False),
    Column("prediction_id", _NAME, nullable=True),
    Column("key", Words, nullable=True),
    Column("value", Words, nullable=False),
    Column("known_at", Moment, nullable=False),  # event time from which the label is known
    Column("received_at", Moment, nullable=False),
    Column("source", Words, nullable=False),
    Column("actor", _NAME, nullable=False),
    sqlite_autoincrement=True,
)
Index("label_inbox_endpoint", label_inbox.c.endpoint, label_inbox.c.sequence)

label_files = Table(
    "label_files",
    metadata,
    Column("endpoint", _NAME, primary_key=True),
    Column("digest", _DIGEST, primary_key=True),  # of the file and of how it was read
    Column("name", Words, nullable=False),
    Column("rows", BigInteger, nullable=False),  # recorded so far
    Column("updated_at", Moment, nullable=False),
)

# --- tracking and pipelines ---------------------------------------------------------------------------------------

experiments = Table(
    "experiments",
    metadata,
    Column("id", Whole, primary_key=True),
    Column("name", Words(500), nullable=False, unique=True),
    Column("artifact_location", Words, nullable=False),
    Column("lifecycle", Words(7), nullable=False),  # active, deleted
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment", Whole, primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    Column("value", Words, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("number", Whole, primary_key=True),  # what the tables of logged values call the run: it is short
    Column("id", _ID, nullable=False, unique=True),
    Column("experiment", Whole, nullable=False),
    Column("project", _NAME, nullable=False),  # '' for a run that a client logs
    Column("kind", Words(20), nullable=False),  # training, trial, logged, ...
    Column("name", Words, nullable=False),
    Column("parent", _ID, nullable=True),
    Column("status", Words(12), nullable=False),  # queued, running, finished, failed, cancelled
    Column("reason", Words, nullable=False),  # why it was started
    Column("request", Json, nullable=False),  # what it was started with
    Column("code", _DIGEST, nullable=True),  # blob: the code snapshot
    Column("environment", _DIGEST, nullable=True),  # blob: interpreter, packages, machine
    Column("seed", BigInteger, nullable=False),
    Column("error", Words, nullable=True),
    Column("created_by", _NAME, nullable=False),
    Column("user", Words, nullable=False),  # who the client says it runs for
    Column("artifact_location", Words, nullable=False),
    Column("lifecycle", Words(7), nullable=False),  # active, deleted
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment, nullable=True),
    Column("ended_at", Moment, nullable=True),
    Column("deleted_at", Moment, nullable=True),
    sqlite_autoincrement=True,
)
Index("runs_project", runs.c.project, runs.c.kind, runs.c.created_at)
Index("runs_parent", runs.c.parent)
Index("runs_status", runs.c.status)
# The newest first, what was not begun last: in SQLite that is how it sorts anyway, and it can not be told so.
Index("runs_begun", runs.c.experiment, runs.c.lifecycle, runs.c.started_at.desc(), runs.c.id).ddl_if("sqlite")
_BEGUN = (runs.c.experiment, runs.c.lifecycle, runs.c.started_at.desc().nulls_last(), runs.c.id)
Index("runs_begun_first", *_BEGUN).ddl_if("postgresql")

# Parameters and tags stand by experiment and name: a search reads the ones it asks for and no others.
run_params = Table(
    "run_params",
    metadata,
    Column("experiment", Whole, primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    Column("run", Whole, primary_key=True, autoincrement=False),
    Column("value", Words, nullable=False),
    sqlite_with_rowid=False,
)
Index("run_params_run", run_params.c.run)

run_tags = Table(
    "run_tags",
    metadata,
    Column("experiment", Whole, primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    Column("run", Whole, primary_key=True, autoincrement=False),
    Column("value", Words, nullable=False),
    sqlite_with_rowid=False,
)
Index("run_tags_run", run_tags.c.run)

# One row a metric of a run, with its latest point: of the largest step, then time, then value (not a number is 0 here).
metrics = Table(
    "metrics",
    metadata,
    Column("series", Whole, primary_key=True),  # what `points` calls it: it is short
    Column("experiment", Whole, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("run", Whole, nullable=False),
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
    Column("series", Whole, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Float, primary_key=True, autoincrement=False),
    Column("nan", SmallInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# How far each process that logs was heard: what it sends again is known by its position, and left.
log_writers = Table(
    "log_writers",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("run", Whole, nullable=False),
    Column("position", BigInteger, nullable=False),  # behind its last frame, in the bytes of its spool
    Column("at", Moment, nullable=False),
)
Index("log_writers_run", log_writers.c.run)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Whole, primary_key=True),
    Column("experiment", Whole, nullable=False),
    Column("name", Words(500), nullable=False),
    Column("digest", Words(36), nullable=False),
    Column("source_type", Words, nullable=False),
    Column("source", Words, nullable=False),
    Column("schema", Words, nullable=True),
    Column("profile", Words, nullable=True),
    UniqueConstraint("experiment", "name", "digest"),
)

run_datasets = Table(
    "run_datasets",
    metadata,
    Column("run", Whole, primary_key=True, autoincrement=False),
    Column("dataset", Whole, primary_key=True, autoincrement=False),
    Column("tags", Json, nullable=False),
    Column("context", Words, nullable=True),  # what for: the tag that clients give it, for the search
)
Index("run_datasets_dataset", run_datasets.c.dataset)

run_models = Table(
    "run_models",
    metadata,
    Column("number", Whole, primary_key=True),
    Column("run", Whole, nullable=False),
    Column("model", _ID, nullable=False),  # a logged model
    Column("role", Words(6), nullable=False),  # input, output
    Column("step", BigInteger, nullable=False),
)
Index("run_models_run", run_models.c.run)

logged_models = Table(
    "logged_models",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("experiment", Whole, nullable=False),
    Column("name", Words, nullable=False),
    Column("artifact_location", Words, nullable=False),
    Column("run", _ID, nullable=True),  # the run that made it
    Column("type", Words, nullable=False),
    Column("status", Words(7), nullable=False),  # pending, ready, failed
    Column("status_message", Words, nullable=True),
    Column("lifecycle", Words(7), nullable=False),  # active, deleted
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
    Column("value", Words, nullable=False),
)

logged_model_tags = Table(
    "logged_model_tags",
    metadata,
    Column("model", _ID, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("value", Words, nullable=False),
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
    Column("dataset_name", Words(500), nullable=True),
    Column("dataset_digest", Words(36), nullable=True),
)
Index("logged_model_points_name", logged_model_points.c.name, logged_model_points.c.model)

artifacts = Table(
    "artifacts",
    metadata,
    Column("path", Words, primary_key=True),  # below the artifacts of the workspace
    Column("size", BigInteger, nullable=False),
    Column("digest", _DIGEST, nullable=False),
    Column("at", Moment, nullable=False),
)

# What was brought from elsewhere: so that it is brought once, and what it is called here.
imports = Table(
    "imports",
    metadata,
    Column("source", Words, primary_key=True),  # the address it was brought from
    Column("kind", Words(20), primary_key=True),  # experiment, run, logged_model, registered_model, model_version
    Column("foreign", Words, primary_key=True),  # what it is called there
    Column("local", Words, nullable=False),  # what it is called here
    Column("mark", Words, nullable=False),  # what it was when it was brought whole; '' until it is
    Column("cursor", Words, nullable=False),  # of a run: the last metric that is here whole
    Column("at", Moment, nullable=False),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", _ID, primary_key=True),
    Column("step", _NAME, primary_key=True),
    Column("position", Whole, nullable=False),
    Column("status", Words(12), nullable=False),  # waiting, running, finished, cached, failed, skipped
    Column("attempt", Whole, nullable=False),
    Column("started_at", Moment, nullable=True),
    Column("ended_at", Moment, nullable=True),
    Column("cache_key", _DIGEST, nullable=True),
    Column("output", _DIGEST, nullable=True),
    Column("log", _DIGEST, nullable=True),
    Column("done", Float, nullable=True),  # of `total`, in the step's own counting
    Column("total", Float, nullable=True),
    Column("message", Words, nullable=True),  # what it says of itself: progress, why it was not run, the error
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

registered_models = Table(
    "registered_models",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("description", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

registered_model_tags = Table(
    "registered_model_tags",
    metadata,
    Column("model", _NAME, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("value", Words, nullable=False),
)

# Every version of a model in one numbering: those that were judged, which `model_versions` holds too, and those that clients
# registered.
registered_versions = Table(
    "registered_versions",
    metadata,
    Column("model", _NAME, primary_key=True),
    Column("number", Whole, primary_key=True, autoincrement=False),
    Column("id", _ID, nullable=False, unique=True),
    Column("judged", Boolean, nullable=False),
    Column("source", Words, nullable=False),  # what the client named; '' for a judged version
    Column("location", Words, nullable=False),  # where its files stand
    Column("run_id", Words, nullable=True),
    Column("run_link", Words, nullable=True),
    Column("logged_model", Words, nullable=True),
    Column("description", Words, nullable=False),
    Column("stage", Words(10), nullable=False),  # None, Staging, Production, Archived
    Column("lifecycle", Words(7), nullable=False),  # active, deleted: its number is not given again
    Column("created_by", _NAME, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
Index("registered_versions_run", registered_versions.c.run_id)
Index("registered_versions_updated", registered_versions.c.updated_at)

registered_version_tags = Table(
    "registered_version_tags",
    metadata,
    Column("model", _NAME, primary_key=True),
    Column("number", Whole, primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    Column("value", Words, nullable=False),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project", _NAME, nullable=False),
    Column("model", _NAME, nullable=False),
    Column("number", Whole, nullable=False),
    Column("status", Words(12), nullable=False),  # accepted, rejected
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

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", Words(63), nullable=False),
    Column("url", Words, nullable=False),
    Column("events", Json, nullable=False),  # registered_model.created, model_version_tag.set, ...
    Column("description", Words, nullable=True),
    Column("status", Words(8), nullable=False),  # active, disabled
    Column("secret", Words, nullable=True),  # plain:TEXT, or sealed:TOKEN under the workspace's key
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

# What webhooks are owed: written with the change that they tell of, kept until the receiver has taken it.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("webhook_id", _ID, nullable=False),
    Column("event", Words(40), nullable=False),
    Column("body", Words, nullable=False),  # what is sent, as JSON
    Column("state", Words(9), nullable=False),  # waiting, delivered, failed
    Column("attempts", Whole, nullable=False),
    Column("next_at", Moment, nullable=True),  # None: delivered, or given up
    Column("answered", Whole, nullable=True),  # the HTTP status of the last answer
    Column("error", Words, nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=True),
)
Index("webhook_deliveries_due", webhook_deliveries.c.next_at)
Index("webhook_deliveries_webhook", webhook_deliveries.c.webhook_id, webhook_deliveries.c.next_at)
Index("webhook_deliveries_ended", webhook_deliveries.c.ended_at)

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
    Column("revision", Whole, primary_key=True, autoincrement=False),  # of the whole routing table: 1, 2, 3, ...
    Column("endpoint", _NAME, nullable=False),
    Column("arms", Json, nullable=False),  # version, bundle, role and weight of each arm
    Column("reason", Words, nullable=False),
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
    Column("state", Words(16), nullable=False),  # waiting, shadow, canary, ab, held, promoted, rolled_back, replaced
    Column("step", Whole, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("reason", Words, nullable=False),
    Column("event_time", Moment, nullable=True),  # when its present step began, in event time
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
Index("rollouts_endpoint", rollouts.c.endpoint, rollouts.c.created_at)

# --- lineage ------------------------------------------------------------------------------------------------------

# Events of OpenLineage: noted as runs begin and end, kept until their target has taken them.
lineage_events = Table(
    "lineage_events",
    metadata,
    Column("run_id", _ID, primary_key=True),
    Column("event", Words(10), primary_key=True),  # START, COMPLETE, FAIL, ABORT
    Column("target", Words(10), primary_key=True),  # file, url
    Column("body", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("attempts", Whole, nullable=False),
    Column("next_at", Moment, nullable=True),
    Column("taken_at", Moment, nullable=True),
    Column("error", Words, nullable=True),
)
Index("lineage_events_due", lineage_events.c.target, lineage_events.c.next_at)

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

monitor_checkpoints = Table(
    "monitor_checkpoints",
    metadata,
    Column("endpoint", _NAME, primary_key=True),
    Column("monitor", _NAME, primary_key=True),
    Column("start", Moment, primary_key=True),  # of the window before which it stood so, in event time
    Column("state", LargeBinary, nullable=False),
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
    Column("kind", Words(20), nullable=False),  # drift, decay, objective, errors, latency, quality, ...
    Column("severity", Words(10), nullable=False),
    Column("title", Words, nullable=False),
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
    Column("about", Words(10), nullable=False),  # raised, resolved
    Column("target", Words, nullable=False),
    Column("attempts", Whole, nullable=False),
    Column("next_at", Moment, nullable=True),  # None: delivered, or given up
    Column("delivered_at", Moment, nullable=True),
    Column("error", Words, nullable=True),
)
Index("notices_alert", notices.c.alert_id)
Index("notices_due", notices.c.next_at)

incidents = Table(
    "incidents",
    metadata,
    Column("id", _ID, primary_key=True),  # that of its first alert
    Column("project", _NAME, nullable=False),
    Column("endpoint", _NAME, nullable=False),
    Column("kind", Words(20), nullable=False),
    Column("severity", Words(10), nullable=False),
    Column("title", Words, nullable=False),
    Column("columns", Json, nullable=False),
    Column("version_id", _ID, nullable=True),
    Column("owner", Words, nullable=False),
    Column("state", Words(20), nullable=False),  # open, acknowledged, resolved
    Column("alerts", Whole, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("last_event_time", Moment, nullable=True),
    Column("alert_id", _ID, nullable=False),
    Column("level", Whole, nullable=False),
    Column("next_at", Moment, nullable=True),  # when the next receivers are told
    Column("acknowledged_by", Words, nullable=True),
    Column("acknowledged_at", Moment, nullable=True),
    Column("note", Words, nullable=False),
    Column("resolved_by", Words, nullable=True),
    Column("resolved_at", Moment, nullable=True),
    Column("resolution", Words, nullable=False),
)
Index("incidents_endpoint", incidents.c.endpoint, incidents.c.state, incidents.c.kind)
Index("incidents_due", incidents.c.next_at)
Index("incidents_last", incidents.c.last_at)

mutes = Table(
    "mutes",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("endpoint", _NAME, nullable=False),
    Column("kind", Words(20), nullable=True),
    Column("column", Words, nullable=True),
    Column("until", Moment, nullable=False),
    Column("reason", Words, nullable=False),
    Column("created_by", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=True),
)
Index("mutes_endpoint", mutes.c.endpoint, mutes.c.until)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project", _NAME, nullable=False),
    Column("endpoint", _NAME, nullable=True),
    Column("kind", Words(20), nullable=False),  # retrain, hold, release, promote, roll_back
    Column("trigger", Words(20), nullable=False),  # drift, decay, schedule, data, person
    Column("reason", Words, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("run_id", _ID, nullable=True),
    Column("event_time", Moment, nullable=True),
    Column("at", Moment, nullable=False),
)
Index("decisions_project", decisions.c.project, decisions.c.at)
Index("decisions_run", decisions.c.run_id)

# --- processes ----------------------------------------------------------------------------------------------------

processes = Table(
    "processes",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", Words(10), nullable=False),  # web, work, serve
    Column("host", _NAME, nullable=False),
    Column("pid", Whole, nullable=False),
    Column("address", Words, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("details", Json, nullable=False),
)
