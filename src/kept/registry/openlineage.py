"""OpenLineage events: what a training, an evaluation, a release, ... read and made, and when.

The shape is that of the specification 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json) and of its facets.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
import xxhash

from kept import __version__
from kept.core.clock import format_time

EventType = Literal["START", "COMPLETE", "FAIL", "ABORT"]
JobType = Literal["TRAINING", "EVALUATION", "PACKAGING", "RELEASE", "SCORING", "MONITORING"]

# Who tells, as the URI that OpenLineage asks for: it names, and leads nowhere.
PRODUCER = f"kept://release/{__version__}"
_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "DatasetVersionDatasetFacet": "1-0-0",
    "DocumentationJobFacet": "1-0-0",
    "ErrorMessageRunFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "NominalTimeRunFacet": "1-0-1",
    "OwnershipJobFacet": "1-0-0",
    "ParentRunFacet": "1-0-1",
    "SchemaDatasetFacet": "1-0-0",
}


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What was read or made: a version of data, of a model, of what serves.

    Args:
        name: what is versioned.
        version: which version; None where there are none.
        columns: their names and types, where they are known.
        namespace: where the name means something; that of the settings when not given.
    """

    name: str
    version: str | None = None
    columns: Mapping[str, str] = {}
    namespace: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is done again and again, and who answers for it."""

    name: str
    kind: JobType
    description: str = ""
    owner: str = ""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a job was done, as far as it has come.

    Args:
        id: a UUID.
        job: what was done.
        inputs: what it read, as far as that is known by then.
        outputs: what it made.
        error: what went wrong.
        until: event time up to which it looked.
        part_of: id and job of the work that it is a part of.
    """

    id: str
    job: Job
    inputs: tuple[Data, ...] = ()
    outputs: tuple[Data, ...] = ()
    error: str = ""
    until: str | None = None
    part_of: tuple[str, str] | None = None


def event_of(event: EventType, at: datetime, work: Work, namespace: str) -> dict[str, Any]:
    """One event of some work, as plain values.

    Args:
        event: which.
        at: when it happened, in processing time.
        work: the work, as it was then.
        namespace: that of jobs, and of data that have none of their own.
    """
    run_facets: dict[str, Any] = {}
    if work.until is not None:
        run_facets["nominalTime"] = _facet("NominalTimeRunFacet", nominalStartTime=work.until)
    if event in {"FAIL", "ABORT"} and work.error:
        run_facets["errorMessage"] = _facet("ErrorMessageRunFacet", message=work.error, programmingLanguage="PYTHON")
    if work.part_of is not None:
        run, job = work.part_of
        run_facets["parent"] = _facet(
            "ParentRunFacet", run={"runId": str(UUID(run))}, job={"namespace": namespace, "name": job}
        )
    job_facets = {
        "jobType": _facet("JobTypeJobFacet", processingType="BATCH", integration="KEPT", jobType=work.job.kind)
    }
    if work.job.description:
        job_facets["documentation"] = _facet("DocumentationJobFacet", description=work.job.description)
    if work.job.owner:
        owners = [{"name": work.job.owner, "type": "OWNER"}]
        job_facets["ownership"] = _facet("OwnershipJobFacet", owners=owners)
    return {
        "eventType": event,
        "eventTime": format_time(at),
        "producer": PRODUCER,
        "schemaURL": _SCHEMA,
        "run": {"runId": str(UUID(work.id)), "facets": run_facets},
        "job": {"namespace": namespace, "name": work.job.name, "facets": job_facets},
        "inputs": [_dataset(one, namespace) for one in work.inputs],
        "outputs": [_dataset(one, namespace) for one in work.outputs],
    }


def id_of(name: str, moment: datetime) -> str:
    """The id of work that has none: a UUIDv7 of the moment and the name, the same one each time."""
    digest: int = xxhash.xxh3_128_intdigest(name.encode())
    milliseconds = int(moment.timestamp() * 1000) << 80
    return str(UUID(int=milliseconds | 7 << 76 | (digest >> 64 & 0xFFF) << 64 | 2 << 62 | digest & (1 << 62) - 1))


def _dataset(data: Data, namespace: str) -> dict[str, Any]:
    facets = {}
    if data.columns:
        fields = [{"name": name, "type": kind} for name, kind in data.columns.items()]
        facets["schema"] = _facet("SchemaDatasetFacet", fields=fields)
    if data.version is not None:
        facets["version"] = _facet("DatasetVersionDatasetFacet", datasetVersion=data.version)
    return {"namespace": data.namespace or namespace, "name": data.name, "facets": facets}


def _facet(name: str, **values: Any) -> dict[str, Any]:
    where = f"https://openlineage.io/spec/facets/{_FACETS[name]}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": where, **values}
