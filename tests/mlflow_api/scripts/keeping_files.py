"""Files of runs: logged, listed, downloaded and deleted."""

import os
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

client = MlflowClient()
mlflow.set_experiment("files")
here = Path("here")
(here / "deep" / "er").mkdir(parents=True)
large = os.urandom(5_000_000)
(here / "large.bin").write_bytes(large)
(here / "deep" / "er" / "ünicode name.txt").write_text("é")
(here / "empty").touch()

with mlflow.start_run() as run:
    mlflow.log_artifact("here/large.bin")
    mlflow.log_artifacts("here", "all")

identity = run.info.run_id
assert [(one.path, one.is_dir, one.file_size) for one in client.list_artifacts(identity)] == [
    ("all", True, None),
    ("large.bin", False, 5_000_000),
]
assert [one.path for one in client.list_artifacts(identity, "all")] == ["all/deep", "all/empty", "all/large.bin"]
assert client.list_artifacts(identity, "nothing") == []

back = Path(mlflow.artifacts.download_artifacts(run_id=identity, artifact_path="all", dst_path="back"))
assert (back / "large.bin").read_bytes() == large
assert (back / "deep" / "er" / "ünicode name.txt").read_text() == "é"
assert not (back / "empty").read_bytes()

uri = f"{run.info.artifact_uri}/large.bin"
assert Path(mlflow.artifacts.download_artifacts(uri)).read_bytes() == large

get_artifact_repository(run.info.artifact_uri).delete_artifacts("all")
assert [one.path for one in client.list_artifacts(identity)] == ["large.bin"]
gone = None
try:
    mlflow.artifacts.download_artifacts(f"{run.info.artifact_uri}/gone.txt")
except mlflow.MlflowException as error:
    gone = str(error)
assert gone is not None
assert "gone.txt" in gone
