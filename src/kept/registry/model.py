"""A model version: a bundle with its verdict and its card, under a name and a number."""

from datetime import datetime
from typing import Literal

import msgspec

from kept.evaluation.gate import Verdict
from kept.governance.approvals import Approval
from kept.registry.card import ModelCard

CHAMPION = "champion"
CHALLENGER = "challenger"

Status = Literal["accepted", "rejected"]


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a model. It never changes; its fields are the columns of the table `model_versions`."""

    id: str
    project: str
    model: str
    number: int
    """1, 2, 3, ... of this model, without a gap."""
    status: Status
    """Whether it passed the gate. A rejected version can be released only with a recorded waiver."""
    bundle: str
    """Digest of the bundle that is served."""
    run_id: str | None
    verdict: Verdict
    card: ModelCard
    created_by: str
    created_at: datetime


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A name that points to one version of a model, and can be moved."""

    model: str
    alias: str
    version_id: str
    set_by: str
    set_at: datetime


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A version as one line of a list."""

    id: str
    project: str
    model: str
    number: int
    status: Status
    aliases: tuple[str, ...]
    metrics: dict[str, float | None]
    """Estimates on the test rows, and what was measured on the bundle."""
    failed: tuple[str, ...]
    """Objectives and checks that do not hold."""
    bundle: str
    run_id: str | None
    created_by: str
    created_at: datetime


class ModelDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A version with what was said of it since."""

    version: ModelVersion
    aliases: tuple[str, ...]
    approvals: tuple[Approval, ...]
    """Approvals and waivers, oldest first."""


def summarize(version: ModelVersion, aliases: tuple[str, ...]) -> ModelSummary:
    """The version as one line of a list."""
    return ModelSummary(
        id=version.id,
        project=version.project,
        model=version.model,
        number=version.number,
        status=version.status,
        aliases=aliases,
        metrics=version.card.values,
        failed=version.verdict.failed,
        bundle=version.bundle,
        run_id=version.run_id,
        created_by=version.created_by,
        created_at=version.created_at,
    )
