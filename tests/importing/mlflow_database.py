"""A database with the tables that MLflow 3.17 makes, as far as they are read, and rows in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    insert,
)

metadata = MetaData()


def _table(name: str, *columns: Column[Any], part: bool = False) -> Table:
    return Table(name, metadata, *columns, *([Column("workspace", String(63), default="default")] if part else []))


EXPERIMENTS = _table(
    "experiments",
    Column("experiment_id", Integer, primary_key=True),
    Column("name", String(256), nullable=False),
    Column("artifact_location", String(256)),
    Column("lifecycle_stage", String(32), default="active"),
    Column("creation_time", BigInteger, default=1_700_000_000_000),
    Column("last_update_time", BigInteger, default=1_700_000_000_001),
    part=True,
)
EXPERIMENT_TAGS = _table(
    "experiment_tags", Column("key", String(250)), Column("value", Text), Column("experiment_id", Integer)
)
RUNS = _table(
    "runs",
    Column("run_uuid", String(32), primary_key=True),
    Column("name", String(250)),
    Column("source_type", String(20)),
    Column("source_name", String(500)),
    Column("entry_point_name", String(50)),
    Column("user_id", String(256)),
    Column("status", String(9), default="FINISHED"),
    Column("start_time", BigInteger, default=1_700_000_000_000),
    Column("end_time", BigInteger),
    Column("source_version", String(50)),
    Column("lifecycle_stage", String(20), default="active"),
    Column("artifact_uri", String(200)),
    Column("experiment_id", Integer),
    Column("deleted_time", BigInteger),
)
METRICS = _table(
    "metrics",
    Column("key", String(250), primary_key=True),
    Column("value", Float, primary_key=True),
    Column("timestamp", BigInteger, primary_key=True),
    Column("run_uuid", String(32), primary_key=True, index=True),
    Column("step", BigInteger, primary_key=True),
    Column("is_nan", Boolean, primary_key=True, default=False),
)
PARAMS = _table("params", Column("key", String(250)), Column("value", String(8000)), Column("run_uuid", String(32)))
TAGS = _table("tags", Column("key", String(250)), Column("value", String(8000)), Column("run_uuid", String(32)))
DATASETS = _table(
    "datasets",
    Column("dataset_uuid", String(36)),
    Column("experiment_id", Integer),
    Column("name", String(500)),
    Column("digest", String(36)),
    Column("dataset_source_type", String(36)),
    Column("dataset_source", Text),
    Column("dataset_schema", Text),
    Column("dataset_profile", Text),
)
INPUTS = _table(
    "inputs",
    Column("input_uuid", String(36)),
    Column("source_type", String(36)),
    Column("source_id", String(36)),
    Column("destination_type", String(36)),
    Column("destination_id", String(36)),
    Column("step", BigInteger, default=0),
)
INPUT_TAGS = _table(
    "input_tags", Column("input_uuid", String(36)), Column("name", String(255)), Column("value", String(500))
)
LOGGED_MODELS = _table(
    "logged_models",
    Column("model_id", String(36), primary_key=True),
    Column("experiment_id", Integer),
    Column("name", String(500)),
    Column("artifact_location", String(1000)),
    Column("creation_timestamp_ms", BigInteger, default=1_700_000_000_000),
    Column("last_updated_timestamp_ms", BigInteger, default=1_700_000_000_002),
    Column("status", Integer, default=2),
    Column("lifecycle_stage", String(32), default="active"),
    Column("model_type", String(500)),
    Column("source_run_id", String(32)),
    Column("status_message", String(1000)),
)
LOGGED_MODEL_METRICS = _table(
    "logged_model_metrics",
    Column("model_id", String(36)),
    Column("metric_name", String(500)),
    Column("metric_timestamp_ms", BigInteger),
    Column("metric_step", BigInteger),
    Column("metric_value", Float),
    Column("experiment_id", Integer),
    Column("run_id", String(32)),
    Column("dataset_uuid", String(36)),
    Column("dataset_name", String(500)),
    Column("dataset_digest", String(36)),
)
LOGGED_MODEL_PARAMS = _table(
    "logged_model_params", Column("model_id", String(36)), Column("param_key", String(255)), Column("param_value", Text)
)
LOGGED_MODEL_TAGS = _table(
    "logged_model_tags", Column("model_id", String(36)), Column("tag_key", String(255)), Column("tag_value", Text)
)
REGISTERED_MODELS = _table(
    "registered_models",
    Column("name", String(256)),
    Column("creation_time", BigInteger, default=1_700_000_000_000),
    Column("last_updated_time", BigInteger, default=1_700_000_000_003),
    Column("description", String(5000)),
    part=True,
)
REGISTERED_MODEL_TAGS = _table(
    "registered_model_tags",
    Column("key", String(250)),
    Column("value", String(5000)),
    Column("name", String(256)),
    part=True,
)
REGISTERED_MODEL_ALIASES = _table(
    "registered_model_aliases",
    Column("alias", String(256)),
    Column("version", Integer),
    Column("name", String(256)),
    part=True,
)
MODEL_VERSIONS = _table(
    "model_versions",
    Column("name", String(256)),
    Column("version", Integer),
    Column("creation_time", BigInteger, default=1_700_000_000_000),
    Column("last_updated_time", BigInteger, default=1_700_000_000_004),
    Column("description", String(5000)),
    Column("user_id", String(256)),
    Column("current_stage", String(20), default="None"),
    Column("source", String(500)),
    Column("run_id", String(32)),
    Column("status", String(20), default="READY"),
    Column("status_message", String(500)),
    Column("run_link", String(500)),
    Column("storage_location", String(500)),
    part=True,
)
MODEL_VERSION_TAGS = _table(
    "model_version_tags",
    Column("key", String(250)),
    Column("value", Text),
    Column("name", String(256)),
    Column("version", Integer),
    part=True,
)
TRACE_INFO = _table("trace_info", Column("request_id", String(50)), Column("experiment_id", Integer))
WEBHOOKS = _table("webhooks", Column("webhook_id", String(256)), Column("deleted_timestamp", BigInteger))

RUN, CHILD, DELETED, MODEL = "a" * 32, "b" * 32, "c" * 32, "m-" + "d" * 32


class Rows:
    """Puts rows into the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, table: Table, *rows: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            for row in rows:
                connection.execute(insert(table), row)

    def points(self, run: str, name: str, count: int, *, start: int = 0) -> None:
        many = range(start, start + count)
        rows = [
            {
                "key": name,
                "value": 1 / (n + 1),
                "timestamp": 1_700_000_000_000 + n,
                "run_uuid": run,
                "step": n,
                "is_nan": False,
            }
            for n in many
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(METRICS), rows)


@contextmanager
def opened(url: str) -> Iterator[Rows]:
    """A database with the tables, made where they are missing."""
    engine = create_engine(url)
    try:
        metadata.create_all(engine)
        yield Rows(engine)
    finally:
        engine.dispose()


def fill(rows: Rows, files: Path) -> None:
    """Two experiments and what can be in them; the files stand in a folder."""
    rows.put(
        EXPERIMENTS,
        {"experiment_id": 0, "name": "Default", "artifact_location": str(files / "0")},
        {"experiment_id": 7, "name": "churn", "artifact_location": str(files / "7")},
        {"experiment_id": 8, "name": "old", "artifact_location": str(files / "8"), "lifecycle_stage": "deleted"},
    )
    rows.put(EXPERIMENT_TAGS, {"key": "team", "value": "blue", "experiment_id": 7})
    place = {"experiment_id": 7, "user_id": "grace", "end_time": 1_700_000_009_000}
    rows.put(
        RUNS,
        {**place, "run_uuid": RUN, "name": "first", "artifact_uri": str(files / "7" / RUN / "artifacts")},
        {
            **place,
            "run_uuid": CHILD,
            "name": "second",
            "status": "RUNNING",
            "end_time": None,
            "artifact_uri": str(files / "7" / CHILD / "artifacts"),
        },
        {
            **place,
            "run_uuid": DELETED,
            "name": "third",
            "status": "KILLED",
            "lifecycle_stage": "deleted",
            "deleted_time": 1_700_000_010_000,
            "artifact_uri": str(files / "7" / DELETED / "artifacts"),
        },
    )
    rows.put(TAGS, {"key": "mlflow.runName", "value": "first", "run_uuid": RUN})
    rows.put(TAGS, {"key": "mlflow.parentRunId", "value": RUN, "run_uuid": CHILD})
    rows.put(
        PARAMS, {"key": "depth", "value": "3", "run_uuid": RUN}, {"key": "long", "value": "x" * 7_000, "run_uuid": RUN}
    )
    rows.points(RUN, "loss", 250)
    rows.points(CHILD, "accuracy/valid", 3)
    strange = {"key": "strange", "timestamp": 5, "run_uuid": RUN}
    rows.put(METRICS, {**strange, "value": 0.0, "step": 1, "is_nan": True}, {**strange, "value": -2.0, "step": -4})
    dataset = {"dataset_source_type": "local", "dataset_source": "{}", "dataset_schema": "{}", "dataset_profile": None}
    rows.put(DATASETS, {**dataset, "dataset_uuid": "one", "experiment_id": 7, "name": "rows", "digest": "1f"})
    link = {"source_id": RUN, "destination_id": MODEL}
    rows.put(
        INPUTS,
        {
            "input_uuid": "i1",
            "source_type": "DATASET",
            "source_id": "one",
            "destination_type": "RUN",
            "destination_id": RUN,
        },
        {**link, "input_uuid": "i2", "source_type": "RUN_OUTPUT", "destination_type": "MODEL_OUTPUT", "step": 4},
        {
            "input_uuid": "i3",
            "source_type": "RUN_INPUT",
            "source_id": CHILD,
            "destination_type": "MODEL_INPUT",
            "destination_id": MODEL,
        },
    )
    rows.put(INPUT_TAGS, {"input_uuid": "i1", "name": "mlflow.data.context", "value": "training"})
    home = str(files / "7" / "models" / MODEL / "artifacts")
    rows.put(
        LOGGED_MODELS,
        {"model_id": MODEL, "experiment_id": 7, "name": "net", "artifact_location": home, "source_run_id": RUN},
    )
    point = {"model_id": MODEL, "metric_name": "auc", "metric_timestamp_ms": 9, "metric_step": 2, "metric_value": 0.75}
    rows.put(
        LOGGED_MODEL_METRICS,
        {**point, "experiment_id": 7, "run_id": RUN, "dataset_name": "rows", "dataset_digest": "1f"},
    )
    rows.put(LOGGED_MODEL_PARAMS, {"model_id": MODEL, "param_key": "layers", "param_value": "2"})
    rows.put(LOGGED_MODEL_TAGS, {"model_id": MODEL, "tag_key": "kind", "tag_value": "small"})
    rows.put(REGISTERED_MODELS, {"name": "churn-model", "description": "who leaves"}, {"name": "greeting"})
    rows.put(REGISTERED_MODEL_TAGS, {"key": "mlflow.prompt.is_prompt", "value": "true", "name": "greeting"})
    rows.put(REGISTERED_MODEL_TAGS, {"key": "team", "value": "blue", "name": "churn-model"})
    rows.put(REGISTERED_MODEL_ALIASES, {"alias": "champion", "version": 3, "name": "churn-model"})
    rows.put(
        MODEL_VERSIONS,
        {"name": "churn-model", "version": 1, "source": str(files / "7" / RUN / "artifacts" / "model"), "run_id": RUN},
        {
            "name": "churn-model",
            "version": 3,
            "source": f"models:/{MODEL}",
            "storage_location": home,
            "run_id": RUN,
            "current_stage": "Production",
        },
        {"name": "churn-model", "version": 2, "source": "", "current_stage": "Deleted_Internal"},
    )
    rows.put(MODEL_VERSION_TAGS, {"key": "checked", "value": "yes", "name": "churn-model", "version": 3})
    rows.put(TRACE_INFO, {"request_id": "t1", "experiment_id": 7}, {"request_id": "t2", "experiment_id": 7})
    rows.put(WEBHOOKS, {"webhook_id": "w1", "deleted_timestamp": None}, {"webhook_id": "w2", "deleted_timestamp": 9})
    for path, content in FILES.items():
        (files / path).parent.mkdir(parents=True, exist_ok=True)
        (files / path).write_bytes(content)


FILES = {
    f"7/{RUN}/artifacts/model/weights.bin": bytes(range(256)) * 20,
    f"7/{RUN}/artifacts/notes é #1.txt": b"seen",
    f"7/{RUN}/artifacts/empty": b"",
    f"7/models/{MODEL}/artifacts/MLmodel": b"flavors: {}\n",
}
