"""Fills a tracking server with what people log, through MLflow's own client."""

import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
experiment = client.create_experiment("churn", artifact_location=sys.argv[2] or None, tags={"team": "blue"})
mlflow.set_experiment("churn")
with mlflow.start_run(run_name="first", description="told") as run:
    run_id = run.info.run_id
    client.log_batch(run_id, [Metric("loss", 1 / (n + 1), 1_700_000_000_000 + n, n) for n in range(500)])
    mlflow.log_metric("strange", float("nan"), step=1)
    mlflow.log_metric("strange", float("inf"), step=2)
    mlflow.log_metric("strange", -1.5, step=-3)
    mlflow.log_params({"depth": 3, "a/b": "lines\nof text"})
    mlflow.set_tag("state", "good")
    mlflow.log_text("seen", "notes/read me é.txt")
    mlflow.log_dict({"a": 1}, "config.json")
    mlflow.log_input(MetaDataset(HTTPDatasetSource("http://data.example.org/rows"), name="rows"), context="training")
    model = mlflow.initialize_logged_model(name="net", params={"layers": "2"}, tags={"kind": "small"})
    mlflow.log_metric("auc", 0.75, model_id=model.model_id)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "MLmodel").write_text("flavors: {}\n")
        client.log_model_artifacts(model.model_id, folder)
    mlflow.finalize_logged_model(model.model_id, "READY")
    with mlflow.start_run(run_name="second", nested=True):
        mlflow.log_metric("accuracy", 0.5)
deleted = client.create_run(experiment, run_name="third")
client.log_metric(deleted.info.run_id, "loss", 2.0)
client.set_terminated(deleted.info.run_id, "FAILED")
client.delete_run(deleted.info.run_id)
client.delete_experiment(client.create_experiment("old"))
client.create_registered_model("churn-model", tags={"team": "blue"}, description="who leaves")
made = client.create_model_version(
    "churn-model", f"models:/{model.model_id}", run_id, model_id=model.model_id, tags={"checked": "yes"}
)
client.create_model_version("churn-model", f"{run.info.artifact_uri}/notes", run_id)
client.set_registered_model_alias("churn-model", "champion", made.version)
client.transition_model_version_stage("churn-model", made.version, "Staging")
