"""Files that the client sends and reads in parts, at once."""

import os
import tempfile
from pathlib import Path
from typing import Any

# A part of a few kilobytes stands for one of a hundred megabytes.
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = "100000"
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = "70000"
os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = "90000"
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "true"
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "true"

import mlflow
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

sent: list[int] = []
put = HttpArtifactRepository._upload_part


def noted(credential: Any, local_file: str, size: int, start_byte: int) -> Any:
    sent.append(credential.part_number)
    return put(credential, local_file, size, start_byte)


HttpArtifactRepository._upload_part = staticmethod(noted)

content = os.urandom(1_000_003)
with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
    path = Path(folder) / "weights é.bin"
    path.write_bytes(content)
    # As text: the client cannot send a path that is a `Path` in parts.
    mlflow.log_artifact(str(path), "model/large")
    assert sorted(sent) == list(range(1, 16)), sent
    (Path(folder) / "small.txt").write_text("small")
    mlflow.log_artifact(Path(folder) / "small.txt")
    assert len(sent) == 15

client = mlflow.MlflowClient()
(listed,) = client.list_artifacts(run.info.run_id, "model/large")
assert (listed.path, listed.file_size) == ("model/large/weights é.bin", len(content))
got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=listed.path)
assert Path(got).read_bytes() == content
assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/small.txt") == "small"
