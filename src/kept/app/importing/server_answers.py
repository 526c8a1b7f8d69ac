"""MLflow's REST answers as the facts of an import: whatever a server may say, in the types that are stored."""

from typing import Any

from kept.app.importing.words import lifecycle, logged_model_in, model_status, run_status, stage, text
from kept.core.errors import Invalid
from kept.registry.imported import ImportedVersion
from kept.tracking.imported import LARGEST_INTEGER, ImportedModel, ImportedRun, moment, moment_at
from kept.tracking.points import Dataset, DatasetInput, ModelOutput, Point, RunPoint

Answer = dict[str, Any]


def run_of(said: Answer, experiment: str) -> ImportedRun:
    """A run with its parameters, tags, inputs and outputs; its points come apart."""
    info = said["info"]
    run_id = text(info.get("run_id") or info.get("run_uuid"))
    where = f"run {run_id}"
    data, inputs, outputs = said.get("data") or {}, said.get("inputs") or {}, said.get("outputs") or {}
    return ImportedRun(
        id=run_id,
        experiment=experiment,
        name=text(info.get("run_name")),
        user=text(info.get("user_id")),
        status=run_status(info.get("status"), where=where),
        lifecycle=lifecycle(info.get("lifecycle_stage")),
        started_at=moment(info.get("start_time"), where=where),
        ended_at=moment(info.get("end_time"), where=where),
        tags=pairs_of(data.get("tags")),
        params=pairs_of(data.get("params")),
        datasets=[_dataset(one) for one in objects_in(inputs, "dataset_inputs")],
        model_inputs=[text(one.get("model_id")) for one in objects_in(inputs, "model_inputs")],
        outputs=[
            ModelOutput(model=text(one.get("model_id")), step=int(one.get("step") or 0))
            for one in objects_in(outputs, "model_outputs")
        ],
        location=text(info.get("artifact_uri")),
    )


def _dataset(said: Answer) -> DatasetInput:
    one = said.get("dataset") or {}
    dataset = Dataset(
        name=text(one.get("name")),
        digest=text(one.get("digest")),
        source_type=text(one.get("source_type")),
        source=text(one.get("source")),
        schema=one.get("schema") or None,
        profile=one.get("profile") or None,
    )
    return DatasetInput(dataset=dataset, tags=pairs_of(said.get("tags")))


def model_of(said: Answer, experiment: str) -> ImportedModel:
    """A logged model with its points; `Invalid` when it has no id."""
    info, data = said["info"], said.get("data") or {}
    model_id = id_of(info, "model_id")
    points = []
    for one in objects_in(data, "metrics"):
        at, step, value = point_of(one)
        point = Point(
            name=text(one.get("key")),
            value=value,
            at=at,
            step=step,
            dataset_name=one.get("dataset_name") or None,
            dataset_digest=one.get("dataset_digest") or None,
        )
        points.append(RunPoint(run=text(one.get("run_id")), point=point))
    return ImportedModel(
        id=model_id,
        experiment=experiment,
        name=text(info.get("name")),
        run=info.get("source_run_id") or None,
        type=text(info.get("model_type")),
        status=model_status(info.get("status"), where=model_id),
        status_message=info.get("status_message") or None,
        tags=pairs_of(info.get("tags")),
        params=pairs_of(data.get("params")),
        points=points,
        created_at=moment_at(info.get("creation_timestamp_ms"), where=model_id),
        updated_at=moment_at(info.get("last_updated_timestamp_ms"), where=model_id),
        location=text(info.get("artifact_uri")),
    )


def version_of(said: Answer, number: int, location: str) -> ImportedVersion:
    """A version of a registered model."""
    where = f"{said.get('name')} version {number}"
    source = text(said.get("source"))
    return ImportedVersion(
        number=number,
        source=source,
        location=location,
        run_id=said.get("run_id") or None,
        run_link=said.get("run_link") or None,
        logged_model=said.get("model_id") or logged_model_in(source),
        description=text(said.get("description")),
        stage=stage(said.get("current_stage")),
        tags=pairs_of(said.get("tags")),
        created_at=moment_at(said.get("creation_timestamp"), where=where),
        updated_at=moment_at(said.get("last_updated_timestamp"), where=where),
    )


def point_of(said: Answer) -> tuple[int, int, float]:
    """Time, step and value; `ValueError` where one has more than 64 bits."""
    at, step, value = int(said.get("timestamp") or 0), int(said.get("step") or 0), float(said.get("value", "nan"))
    if max(abs(at), abs(step)) > LARGEST_INTEGER:
        raise ValueError("more than 64 bits")
    return at, step, value


def pairs_of(said: Any) -> dict[str, str]:
    """Keys and values, from a list of objects with both."""
    return {text(one.get("key")): text(one.get("value")) for one in said or ()}


def objects_in(said: Any, field: str) -> list[Answer]:
    """The objects in the list under a field; none where there is no such list."""
    found = said.get(field) if isinstance(said, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def object_in(said: Answer, field: str) -> Answer:
    """The object under a field; an empty one where there is none."""
    found = said.get(field)
    return found if isinstance(found, dict) else {}


def size_of(said: Any) -> int | None:
    """A file's size, where it is a number."""
    try:
        return int(said)
    except (TypeError, ValueError, OverflowError):
        return None


def id_of(said: Answer, field: str) -> str:
    """What names a thing; `Invalid` when it is empty."""
    found = text(said.get(field))
    if not found:
        raise Invalid("the server gives it no id")
    return found
