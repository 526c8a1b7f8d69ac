"""Following one prediction back: its label, its version, the run and the data that made it, and who let it serve."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from kept.core.errors import NotFound
from kept.data.catalog import the_version
from kept.data.label import LabelRow
from kept.data.labels import ShowLabels, show_labels
from kept.data.version import DatasetVersion
from kept.deployment.records import rollouts_of
from kept.deployment.rollout import Rollout
from kept.governance.actor import Actor, Permission
from kept.governance.approvals import Approval
from kept.governance.audit import AuditEntry
from kept.governance.operation import Audit, operation
from kept.governance.records import approvals_of, entries
from kept.governance.workspace import Workspace
from kept.loop.decision import Decision
from kept.loop.logged_prediction import the_prediction
from kept.loop.records import decisions_about
from kept.registry.records.versions import version_by_id
from kept.registry.version import ModelVersion
from kept.tracking.records import run_by_id
from kept.tracking.run import Run

_MOST_ROLLOUTS = 1_000
_OF_ROLLOUTS = ("deployment.release", "deployment.advance", "deployment.roll_back")
_OF_VERSIONS = ("registry.register", "registry.approve", "registry.waive")


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
    logged = the_prediction(workspace, request.prediction, request.endpoint)
    endpoint, row = logged.endpoint, logged.row
    labels = show_labels(workspace, actor, ShowLabels(endpoint=endpoint, prediction_id=request.prediction))
    if row["key"] is not None:
        labels += show_labels(workspace, actor, ShowLabels(endpoint=endpoint, key=row["key"]))
    with workspace.database.reading() as connection:
        # By its id alone: an endpoint may have served another model since.
        version = version_by_id(connection, row["version_id"])
        if version is None:
            raise NotFound(f"there is no version {row['version_id']}", where=f"prediction {request.prediction}")
        run = run_by_id(connection, version.run_id) if version.run_id else None
        rollouts = [
            one for one in rollouts_of(connection, endpoint, limit=_MOST_ROLLOUTS) if one.candidate == version.id
        ]
        return Trace(
            endpoint=endpoint,
            prediction=row,
            labels=tuple(sorted(labels, key=lambda one: -one.sequence)),
            version=version,
            run=run,
            data=tuple(_data(workspace.inside(connection), version)),
            approvals=tuple(approvals_of(connection, version.id)),
            rollouts=tuple(rollouts),
            decisions=tuple(decisions_about(connection, version.run_id)) if version.run_id else (),
            audit=tuple(_audit(connection, endpoint, version, rollouts)),
        )


def _data(workspace: Workspace, version: ModelVersion) -> list[DatasetVersion]:
    lineage = version.card.lineage
    named = [(one.dataset, one.number) for one in lineage.data]
    named += [(f"features/{view}", number) for view, number in lineage.views.items()]
    return [the_version(workspace, version.project, dataset, number) for dataset, number in named]


def _audit(connection: Connection, endpoint: str, version: ModelVersion, rollouts: list[Rollout]) -> list[AuditEntry]:
    """Entries on the endpoint that began or moved this version's rollouts, and those on the model that name it."""
    known = {one.id for one in rollouts}
    found = [
        entry
        for entry in entries(connection, subject=endpoint, actions=_OF_ROLLOUTS)
        if (entry.action == "deployment.release" and (_began(entry, rollouts) or _names(entry, version)))
        or entry.details.get("request", {}).get("rollout") in known
    ]
    found += [
        entry for entry in entries(connection, subject=version.model, actions=_OF_VERSIONS) if _names(entry, version)
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
