"""Following one prediction back: its label, its version, the run and the data that made it, and who let it serve."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import polars as pl
from sqlalchemy import Connection

from kept.core.clock import format_time
from kept.core.errors import Invalid, NotFound
from kept.data.catalog import the_version
from kept.data.label import LabelRow
from kept.data.labels import ShowLabels, show_labels
from kept.data.version import DatasetVersion
from kept.deployment.records import all_endpoints, rollouts_of
from kept.deployment.rollout import Rollout
from kept.governance.actor import Actor, Permission
from kept.governance.approvals import Approval
from kept.governance.audit import AuditEntry
from kept.governance.operation import Audit, operation
from kept.governance.records import approvals_of, entries
from kept.governance.workspace import Workspace
from kept.loop.decision import Decision
from kept.loop.records import decisions_about
from kept.monitoring.stream import predictions_table
from kept.registry.model import ModelVersion
from kept.registry.records.versions import version_by_id
from kept.tracking.records import run_by_id
from kept.tracking.run import Run

# An id tells when it was made. Requests are stamped by the same clock, save for its steps.
_SLACK = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_ROLLOUTS = 1_000


class TracePrediction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One prediction, by the id that its answer carried."""

    prediction: str
    endpoint: str | None = None
    """Where it was made; looked for everywhere if not given."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a prediction comes from."""

    endpoint: str
    prediction: dict[str, Any]
    """The prediction as it was logged: event time, features, score, version, latency."""
    labels: tuple[LabelRow, ...]
    """Every label it was given, newest first."""
    version: ModelVersion
    """The version that made it, with card and verdict."""
    run: Run | None
    """The run that made the version: its code snapshot, environment and seed."""
    data: tuple[DatasetVersion, ...]
    """The data that it was made from, with their sources; feature views, too."""
    approvals: tuple[Approval, ...]
    """Who approved the version, or waived what it failed."""
    rollouts: tuple[Rollout, ...]
    """How it came to serve here, newest first, each step with who or which rule decided."""
    decisions: tuple[Decision, ...]
    """Why it was trained, and what was decided of it."""
    audit: tuple[AuditEntry, ...]
    """The entries of the audit chain that tell of its coming to serve."""


def tensors_in(prediction: Mapping[str, Any]) -> dict[str, str]:
    """The tensors of a logged prediction by name, as a reader sees them: shape, and values or digest; the answered ones last."""
    columns = [name for start in ("tensor_", "answer_") for name in prediction if name.startswith(start)]
    found = {}
    for column in columns:
        kind, _, name = column.partition("_")
        logged = prediction[column]
        if isinstance(logged, Mapping) and "shape" in logged:
            held = logged["digest"] or ", ".join(f"{value:g}" for value in logged["values"])
            found[name if kind == "tensor" else f"answered {name}"] = f"{list(logged['shape'])} {held}"
    return found


@operation("loop.trace", needs=Permission.VIEW, on="prediction", audit=Audit.READ)
def trace_prediction(workspace: Workspace, actor: Actor, request: TracePrediction) -> Trace:
    """Follows a prediction back to its version, run, data, source, code and whoever let it serve."""
    made_at = _made_at(request.prediction)
    with workspace.database.reading() as connection:
        endpoints = [one for one in all_endpoints(connection) if request.endpoint in {None, one.name}]
    for endpoint in endpoints:
        row = _find(workspace, endpoint.name, request.prediction, made_at)
        if row is not None:
            break
    else:
        fix = "It is found once it was shipped, which takes some seconds; name the endpoint's own workspace"
        raise NotFound(f"there is no prediction {request.prediction}", where="predictions", fix=fix)
    if row["role"] == "constant":
        fix = "Its reason stands beside its id among the endpoint's failed requests"
        what = "no version made it: it is the constant that the endpoint falls back to"
        raise NotFound(what, where=f"prediction {request.prediction}", fix=fix)
    labels = show_labels(workspace, actor, ShowLabels(endpoint=endpoint.name, prediction_id=request.prediction))
    if row["key"] is not None:
        labels += show_labels(workspace, actor, ShowLabels(endpoint=endpoint.name, key=row["key"]))
    with workspace.database.reading() as connection:
        # By its id alone: an endpoint may have served another model since.
        version = version_by_id(connection, row["version_id"])
        if version is None:
            raise NotFound(f"there is no version {row['version_id']}", where=f"prediction {request.prediction}")
        run = run_by_id(connection, version.run_id) if version.run_id else None
        rollouts = [
            one for one in rollouts_of(connection, endpoint.name, limit=_MOST_ROLLOUTS) if one.candidate == version.id
        ]
        return Trace(
            endpoint=endpoint.name,
            prediction=row,
            labels=tuple(sorted(labels, key=lambda one: -one.sequence)),
            version=version,
            run=run,
            data=tuple(_data(workspace.inside(connection), version)),
            approvals=tuple(approvals_of(connection, version.id)),
            rollouts=tuple(rollouts),
            decisions=tuple(decisions_about(connection, version.run_id)) if version.run_id else (),
            audit=tuple(_audit(connection, endpoint.name, version, rollouts)),
        )


def _made_at(prediction: str) -> datetime:
    try:
        value = UUID(prediction)
    except ValueError as error:
        fix = "Give the id that the answer carried"
        raise Invalid(f"{prediction!r} is not the id of a prediction", where="trace", fix=fix) from error
    return _EPOCH + timedelta(milliseconds=value.int >> 80)


def _find(workspace: Workspace, endpoint: str, prediction: str, made_at: datetime) -> dict[str, Any] | None:
    """The row, as plain values. The time in the id spares reading all but a few files."""
    try:
        rows = workspace.tables.read(predictions_table(endpoint))
    except NotFound:
        return None
    near = pl.col("received_at").is_between(made_at - _SLACK, made_at + _SLACK)
    for found in (rows.filter(near & (pl.col("id") == prediction)), rows.filter(pl.col("id") == prediction)):
        frame = found.head(1).collect()
        if frame.height:
            row = frame.row(0, named=True)
            return {name: format_time(value) if isinstance(value, datetime) else value for name, value in row.items()}
    return None


def _data(workspace: Workspace, version: ModelVersion) -> list[DatasetVersion]:
    lineage = version.card.lineage
    named = [(one.dataset, one.number) for one in lineage.data]
    named += [(f"features/{view}", number) for view, number in lineage.views.items()]
    return [the_version(workspace, version.project, dataset, number) for dataset, number in named]


def _audit(connection: Connection, endpoint: str, version: ModelVersion, rollouts: list[Rollout]) -> list[AuditEntry]:
    """Entries on the endpoint that began or moved this version's rollouts, and those on the model that name it."""
    found = [
        entry
        for entry in entries(connection, subject=endpoint)
        if (entry.action == "deployment.release" and (_began(entry, rollouts) or _names(entry, version)))
        or entry.details.get("request", {}).get("rollout") in {one.id for one in rollouts}
    ]
    found += [
        entry
        for entry in entries(connection, subject=version.model)
        if entry.action in {"registry.register", "registry.approve", "registry.waive"} and _names(entry, version)
    ]
    return sorted({entry.sequence: entry for entry in found}.values(), key=lambda entry: entry.sequence)


def _began(entry: AuditEntry, rollouts: list[Rollout]) -> bool:
    """Whether a release by alias or `latest` is what made a rollout: both are one transaction."""
    return any(timedelta(0) <= entry.at - one.created_at < timedelta(seconds=1) for one in rollouts)


def _names(entry: AuditEntry, version: ModelVersion) -> bool:
    request = entry.details.get("request", {})
    if entry.action == "registry.register":
        return bool(request.get("bundle") == version.bundle and request.get("run_id") == version.run_id)
    return str(request.get("version")) in {str(version.number), version.id}
