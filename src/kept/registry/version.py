"""A judged model version: a bundle with its verdict and its card, under a name and a number."""

from datetime import datetime
from typing import Literal

import msgspec

from kept.core.errors import Conflict
from kept.evaluation.gate import Verdict
from kept.governance.approvals import Approval
from kept.registry.card import ModelCard
from kept.registry.registered import RegisteredVersion

CHAMPION = "champion"
CHALLENGER = "challenger"

Status = Literal["accepted", "rejected", "unjudged"]
"""What the gate said of a version; it has not seen one that a client registered."""


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One judged version of a model. It never changes; its fields are the columns of the table `model_versions`."""

    id: str
    project: str
    model: str
    number: int
    """1, 2, 3, ... of this model; clients' versions count too."""
    status: Literal["accepted", "rejected"]
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
    """Empty for an unjudged version."""
    model: str
    number: int
    status: Status
    aliases: tuple[str, ...]
    metrics: dict[str, float | None]
    """Estimates on the test rows, and what was measured on the bundle."""
    failed: tuple[str, ...]
    """Objectives and checks that do not hold."""
    bundle: str | None
    """None for an unjudged version."""
    run_id: str | None
    created_by: str
    created_at: datetime


class ModelDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A version with what was said of it since."""

    version: ModelVersion | None
    """What was judged: the bundle, the verdict, the card. None for a version that a client registered."""
    registered: RegisteredVersion
    aliases: tuple[str, ...]
    approvals: tuple[Approval, ...]
    """Approvals and waivers, oldest first."""

    @property
    def judged(self) -> ModelVersion:
        """The judged version; `Conflict` when a client registered it."""
        if self.version is None:
            raise unjudged(self.registered)
        return self.version


def summarize(registered: RegisteredVersion, version: ModelVersion | None) -> ModelSummary:
    """The version as one line of a list."""
    return ModelSummary(
        id=registered.id,
        project=version.project if version else "",
        model=registered.model,
        number=registered.number,
        status=version.status if version else "unjudged",
        aliases=registered.aliases,
        metrics=version.card.values if version else {},
        failed=version.verdict.failed if version else (),
        bundle=version.bundle if version else None,
        run_id=registered.run_id,
        created_by=registered.created_by,
        created_at=registered.created_at,
    )


def unjudged(registered: RegisteredVersion) -> Conflict:
    """What is asked of a version needs a verdict, and it has none."""
    what = f"version {registered.number} was registered by a client and is unjudged: it has no verdict, card or bundle"
    return Conflict(
        what, where=registered.model, fix=f"Have it judged: kept models adopt {registered.model} {registered.number}"
    )
