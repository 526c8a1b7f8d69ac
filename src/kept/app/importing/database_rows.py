"""Rows of MLflow's database as the facts of an import."""

from collections.abc import Iterator, Sequence

from kept.app.importing.tables import Row
from kept.app.importing.words import lifecycle, logged_model_in, model_status, run_status, stage
from kept.app.importing.words import text as text_of
from kept.registry.imported import ImportedVersion
from kept.tracking.imported import ImportedModel, ImportedRun, Series, moment, moment_at
from kept.tracking.points import DatasetInput, ModelOutput, RunPoint


def series_of(run: str, rows: Sequence[Row]) -> Iterator[Series]:
    """The points of a run by metric, from rows (name, time, step, value, whether it is no number) in the order of names."""
    start = 0
    while start < len(rows):
        name = rows[start][0]
        end = start
        while end < len(rows) and rows[end][0] == name:
            end += 1
        _, at, step, value, nan = zip(*rows[start:end], strict=True)
        values = [float("nan") if no else float(one) for one, no in zip(value, nan, strict=True)]
        yield Series(run=run, name=name, at=list(at), step=list(step), value=values)
        start = end


def run_of(
    row: Row,
    experiment: str,
    tags: dict[str, str],
    params: dict[str, str],
    datasets: list[DatasetInput],
    inputs: list[tuple[str, int]],
    outputs: list[tuple[str, int]],
) -> ImportedRun:
    """A run, from its row and what stands beside it in other tables."""
    where = f"run {row.run_uuid}"
    return ImportedRun(
        id=row.run_uuid,
        experiment=experiment,
        name=text_of(row.name),
        user=text_of(row.user_id),
        status=run_status(row.status, where=where),
        lifecycle=lifecycle(row.lifecycle_stage),
        started_at=moment(row.start_time, where=where),
        ended_at=moment(row.end_time, where=where),
        deleted_at=moment(getattr(row, "deleted_time", None), where=where),
        tags=tags,
        params=params,
        datasets=datasets,
        model_inputs=[model for model, _ in inputs],
        outputs=[ModelOutput(model=model, step=step) for model, step in outputs],
        location=text_of(row.artifact_uri),
    )


def model_of(
    row: Row, experiment: str, tags: dict[str, str], params: dict[str, str], points: list[RunPoint]
) -> ImportedModel:
    """A logged model, from its row and what stands beside it in other tables."""
    where = f"logged model {row.model_id}"
    return ImportedModel(
        id=row.model_id,
        experiment=experiment,
        name=text_of(row.name),
        run=row.source_run_id or None,
        type=text_of(row.model_type),
        status=model_status(row.status, where=where),
        status_message=row.status_message or None,
        lifecycle=lifecycle(row.lifecycle_stage),
        tags=tags,
        params=params,
        points=points,
        created_at=moment_at(row.creation_timestamp_ms, where=where),
        updated_at=moment_at(row.last_updated_timestamp_ms, where=where),
        location=text_of(row.artifact_location),
    )


def version_of(row: Row, tags: dict[str, str]) -> ImportedVersion:
    """A version of a registered model."""
    where = f"{row.name} version {row.version}"
    source = text_of(row.source)
    return ImportedVersion(
        number=int(row.version),
        source=source,
        location=text_of(getattr(row, "storage_location", None)),
        run_id=row.run_id or None,
        run_link=row.run_link or None,
        logged_model=logged_model_in(source),
        description=text_of(row.description),
        stage=stage(row.current_stage),
        tags=tags,
        created_at=moment_at(row.creation_time, where=where),
        updated_at=moment_at(row.last_updated_time or row.creation_time, where=where),
    )
