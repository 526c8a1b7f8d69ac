"""Tells, as JSON, all that MLflow's own client reads from a tracking server, without what a move must change."""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()


def digests(address: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(download_artifacts(artifact_uri=address, dst_path=folder))
        found = sorted(path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def points(run_id: str, name: str) -> list[str]:
    return sorted(str((one.timestamp, one.step, one.value)) for one in client.get_metric_history(run_id, name))


told: dict[str, object] = {}
names = {}
for experiment in client.search_experiments(view_type=ViewType.ALL):
    names[experiment.experiment_id] = experiment.name
    told[f"experiment {experiment.name}"] = [experiment.lifecycle_stage, experiment.tags]
for run in client.search_runs(list(names), run_view_type=ViewType.ALL):
    info = run.info
    whole = client.get_run(info.run_id)
    told[f"run {info.run_id}"] = {
        "info": [info.run_name, info.user_id, info.status, info.start_time, info.end_time, info.lifecycle_stage],
        "experiment": names[info.experiment_id],
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": {name: str(value) for name, value in run.data.metrics.items()},
        "history": {name: points(info.run_id, name) for name in run.data.metrics},
        "datasets": [
            [dict(one.dataset), sorted((t.key, t.value) for t in one.tags)] for one in run.inputs.dataset_inputs
        ],
        "inputs": [one.model_id for one in whole.inputs.model_inputs],
        "outputs": [[one.model_id, one.step] for one in whole.outputs.model_outputs],
        "files": digests(info.artifact_uri) if client.list_artifacts(info.run_id) else {},
    }
live = [number for number, name in names.items() if name != "old"]
for model in client.search_logged_models(live):
    told[f"model {model.model_id}"] = {
        "facts": [model.name, str(model.status), model.source_run_id, model.creation_timestamp],
        "params": model.params,
        "tags": model.tags,
        "metrics": sorted(str((one.key, one.value, one.step, one.timestamp)) for one in model.metrics or []),
        "files": digests(model.artifact_location),
    }
for registered in client.search_registered_models():
    aliases = {name: int(number) for name, number in registered.aliases.items()}
    told[f"registered {registered.name}"] = [registered.description, registered.tags, aliases]
    for version in client.search_model_versions(f"name='{registered.name}'"):
        told[f"version {registered.name} {version.version}"] = {
            "facts": [version.current_stage, version.run_id, version.creation_timestamp, version.tags],
            "files": digests(client.get_model_version_download_uri(registered.name, version.version)),
        }
print(json.dumps(told, sort_keys=True, indent=1))
