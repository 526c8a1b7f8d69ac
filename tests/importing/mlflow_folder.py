"""A folder in the layout of MLflow's file store."""

from pathlib import Path
from typing import Any

import yaml

RUN, MODEL = "e" * 32, "m-" + "f" * 32


def write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def meta(folder: Path, /, **values: Any) -> None:
    write(folder, {"meta.yaml": yaml.safe_dump(values, allow_unicode=True)})


def experiment(root: Path, number: str, name: str, /, **more: Any) -> Path:
    folder = root / number
    meta(
        folder,
        experiment_id=number,
        name=name,
        artifact_location=str(root / number),
        **{
            "creation_time": 1_700_000_000_000,
            "last_update_time": 1_700_000_000_001,
            "lifecycle_stage": "active",
            **more,
        },
    )
    return folder


def run(folder: Path, name: str, /, **more: Any) -> Path:
    made = folder / name
    values = {
        "run_id": name,
        "run_name": "first",
        "experiment_id": folder.name,
        "user_id": "grace",
        "status": 3,
        "start_time": 1_700_000_000_000,
        "end_time": 1_700_000_009_000,
        "lifecycle_stage": "active",
        "artifact_uri": str(made / "artifacts"),
        "tags": [],
    }
    meta(made, **{**values, **more})
    for part in ("metrics", "params", "tags", "artifacts"):
        (made / part).mkdir(exist_ok=True)
    return made


def fill(root: Path) -> None:
    """An experiment in use, one in the trash, and what can be in them."""
    experiment(root, "0", "Default")
    churn = experiment(root, "571", "churn")
    write(churn, {"tags/team": "blue"})
    made = run(churn, RUN)
    write(
        made,
        {
            "params/depth": "3",
            "params/a/b": "nested\nlines",
            "tags/mlflow.runName": "first",
            "metrics/loss": "".join(f"{1_700_000_000_000 + n} {1 / (n + 1)} {n}\n" for n in range(250))
            + "1 0.5 1\n1 0.5 1\n",
            "metrics/strange": "5 nan 1\n6 inf 2\n7 -inf\n8 2.5 3 two words 1f\n",
            "artifacts/model/weights.bin": "w" * 5_000,
            "artifacts/notes é 1.txt": "seen",
        },
    )
    meta(
        churn / "datasets" / "one",
        name="rows",
        digest="1f",
        source_type="local",
        source="{}",
        schema="{}",
        profile=None,
    )
    read = {"destination_type": "RUN", "destination_id": RUN}
    tags = {"mlflow.data.context": "training"}
    meta(made / "inputs" / "i1", source_type="DATASET", source_id="one", tags=tags, **read)
    meta(
        made / "outputs" / MODEL,
        source_type="RUN_OUTPUT",
        source_id=MODEL,
        destination_type="MODEL_OUTPUT",
        destination_id=MODEL,
        tags={},
        step=4,
    )
    model = churn / "models" / MODEL
    meta(
        model,
        model_id=MODEL,
        experiment_id="571",
        name="net",
        artifact_location=str(model / "artifacts"),
        creation_timestamp=1_700_000_000_000,
        last_updated_timestamp=1_700_000_000_002,
        model_type=None,
        source_run_id=RUN,
        status=2,
        status_message=None,
    )
    write(
        model,
        {
            "params/layers": "2",
            "tags/kind": "small",
            "metrics/auc": f"9 0.75 2 {RUN} my rows 1f\n",
            "artifacts/MLmodel": "flavors: {}\n",
        },
    )
    (churn / "traces" / "tr-1").mkdir(parents=True)
    experiment(root / ".trash", "572", "old", lifecycle_stage="deleted")
    registered = root / "models" / "churn-model"
    stamps = {"creation_timestamp": 1_700_000_000_000, "last_updated_timestamp": 1_700_000_000_003}
    meta(registered, name="churn-model", description="who leaves", aliases={"champion": "2"}, **stamps)
    write(registered, {"tags/team": "blue", "aliases/champion": "2"})
    meta(
        registered / "version-1",
        version=1,
        name="churn-model",
        source=str(made / "artifacts/model"),
        run_id=RUN,
        **stamps,
    )
    meta(
        registered / "version-2",
        version=2,
        name="churn-model",
        source=f"models:/{MODEL}",
        storage_location=str(model / "artifacts"),
        model_id=MODEL,
        run_id=RUN,
        current_stage="Production",
        **stamps,
    )
    write(registered / "version-2", {"tags/checked": "yes"})
    meta(
        registered / "version-3",
        version=3,
        name="churn-model",
        source="s3://store/deleted",
        current_stage="Deleted_Internal",
        **stamps,
    )
