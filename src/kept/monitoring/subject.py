"""What a monitor must know of the version it watches: how to read its answers, and what to hold them against."""

from datetime import datetime

import msgspec
import polars as pl

from kept.core.errors import Damaged, Invalid
from kept.deployment.endpoint import RouteRecord
from kept.evaluation.loss import LossReference
from kept.governance.workspace import Workspace
from kept.measures.drift.reference import Reference
from kept.monitoring.drift import load_reference
from kept.packaging.signature import Label
from kept.plan.specs import Task
from kept.registry.records.versions import version_by_id


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A version under watch."""

    version_id: str
    number: int
    task: Task
    classes: tuple[Label, ...]
    reference: str | None
    """Digest of its drift reference; None when it was registered without one."""
    attribution: str | None
    """Digest of what its answers hung on over training rows; None where that was not kept."""
    features: frozenset[str] = frozenset()
    """The inputs that it takes; none where that is not told."""
    bundle: str
    """Digest of its bundle."""
    loss: LossReference | None
    """Its loss on the rows that it was judged on; None when it was registered without one."""


def subject_of(workspace: Workspace, version_id: str) -> Subject:
    """A version as its monitors need it: of whatever model, since an endpoint may have served another one before."""
    with workspace.database.reading() as connection:
        version = version_by_id(connection, version_id)
    if version is None:
        raise Damaged(f"the model version {version_id} is gone", where="registry", fix="Restore it from a backup")
    report = version.card.report
    if report.task == "tensors":
        what = f"version {version.number} of {version.model} answers tensors only: there is nothing to watch"
        raise Invalid(what, where="monitoring", fix="Release it to an endpoint without a project")
    return Subject(
        version_id=version.id,
        number=version.number,
        task=report.task,
        classes=report.classes,
        reference=version.card.lineage.reference,
        attribution=version.card.lineage.attribution,
        features=frozenset(version.card.lineage.features),
        bundle=version.bundle,
        loss=version.card.lineage.loss,
    )


def asked_alike(workspace: Workspace, champion: Subject, predictions: pl.DataFrame) -> pl.DataFrame:
    """Those of versions that take every input of the champion: of others the log does not hold what they do not take."""
    if predictions.is_empty():
        return predictions
    fit = [champion.version_id]
    with workspace.database.reading() as connection:
        for one in predictions["version_id"].unique():
            version = None if one == champion.version_id else version_by_id(connection, one)
            if version is not None and champion.features.issubset(version.card.lineage.features):
                fit.append(one)
    return predictions.filter(pl.col("version_id").is_in(fit))


def champion_since(routes: list[RouteRecord]) -> datetime | None:
    """The event time from which the champion of the last route has been champion; None for the beginning, or not told."""
    since: datetime | None = None
    champion = routes[-1].route.champion.version_id if routes else ""
    for route in reversed(routes):
        if route.route.champion.version_id != champion:
            return since
        since = route.event_time
    return None


def drift_reference(workspace: Workspace, subject: Subject) -> Reference | None:
    """The version's drift reference, read and verified."""
    return None if subject.reference is None else load_reference(workspace.blobs.get(subject.reference))
