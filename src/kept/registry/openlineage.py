"""Runs as OpenLineage tells of them: what a training read and made, when it began, and how it ended.

The shape is that of the specification 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json) and of its facets.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from kept import __version__
from kept.core.clock import format_time
from kept.data.version import DatasetVersion
from kept.registry.model import ModelVersion
from kept.tracking.run import Run, RunStatus

EventType = Literal["START", "COMPLETE", "FAIL", "ABORT"]

PRODUCER = f"https://pypi.org/project/kept/{__version__}"
_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "DatasetVersionDatasetFacet": "1-0-0",
    "DocumentationJobFacet": "1-0-0",
    "ErrorMessageRunFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "NominalTimeRunFacet": "1-0-1",
    "OwnershipJobFacet": "1-0-0",
    "SchemaDatasetFacet": "1-0-0",
}
_ENDS: dict[RunStatus, EventType] = {
    RunStatus.FINISHED: "COMPLETE",
    RunStatus.FAILED: "FAIL",
    RunStatus.CANCELLED: "ABORT",
}


def events_of(run: Run) -> list[tuple[EventType, datetime]]:
    """What is to be told of a run by now: that it began, and how it ended. A run that never began is not told of."""
    if run.started_at is None:
        return []
    found: list[tuple[EventType, datetime]] = [("START", run.started_at)]
    if run.ended_at is not None and run.status in _ENDS:
        found.append((_ENDS[run.status], run.ended_at))
    return found


def run_event(
    event: EventType,
    at: datetime,
    run: Run,
    *,
    namespace: str,
    owner: str,
    question: str,
    inputs: Sequence[DatasetVersion] = (),
    made: ModelVersion | None = None,
) -> dict[str, Any]:
    """One event of a training run, as plain values.

    Args:
        event: which.
        at: when it happened, in processing time.
        run: the run.
        namespace: that of its job, datasets and models.
        owner: who answers for the project.
        question: what its model answers.
        inputs: the versions of data that it read, as far as they are known by then.
        made: the version that it registered.
    """
    run_facets: dict[str, Any] = {}
    if isinstance(until := run.request.get("until"), str):
        run_facets["nominalTime"] = _facet("NominalTimeRunFacet", nominalStartTime=until)
    if event in {"FAIL", "ABORT"} and run.error:
        run_facets["errorMessage"] = _facet("ErrorMessageRunFacet", message=run.error, programmingLanguage="PYTHON")
    job_facets = {
        "jobType": _facet("JobTypeJobFacet", processingType="BATCH", integration="KEPT", jobType="TRAINING"),
        "documentation": _facet("DocumentationJobFacet", description=question),
        "ownership": _facet("OwnershipJobFacet", owners=[{"name": owner, "type": "OWNER"}]),
    }
    return {
        "eventType": event,
        "eventTime": format_time(at),
        "producer": PRODUCER,
        "schemaURL": _SCHEMA,
        "run": {"runId": str(UUID(run.id)), "facets": run_facets},
        "job": {"namespace": namespace, "name": f"{run.project}.{run.kind}", "facets": job_facets},
        "inputs": [_input(one, namespace) for one in inputs],
        "outputs": [] if made is None else [_output(made, namespace)],
    }


def _input(version: DatasetVersion, namespace: str) -> dict[str, Any]:
    fields = [{"name": name, "type": kind} for name, kind in version.columns.items()]
    return {
        "namespace": namespace,
        "name": f"{version.project}/{version.dataset}",
        "facets": {
            "schema": _facet("SchemaDatasetFacet", fields=fields),
            "version": _facet("DatasetVersionDatasetFacet", datasetVersion=str(version.number)),
        },
    }


def _output(version: ModelVersion, namespace: str) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "name": f"models/{version.model}",
        "facets": {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=str(version.number))},
    }


def _facet(name: str, **values: Any) -> dict[str, Any]:
    where = f"https://openlineage.io/spec/facets/{_FACETS[name]}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": where, **values}
