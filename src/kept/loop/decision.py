"""A decision of the loop: what it did or refrained from, why, and on what evidence."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from kept.loop.triggers import TriggerName

TRAINING = "training"
"""The kind of the runs that decisions start."""

Kind = Literal["train", "retrain", "hold", "release", "reject", "promote", "advance", "roll_back", "keep", "dry_run"]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. `retrain` starts a run; `release` and `reject` say what became of it.

    `hold` leaves a training be, `keep` a rollout whose time ran out: a person must decide. `train` is a person's, before
    there is any version: nothing is trained again. `dry_run` only reports: its evidence names what it `would` have been.
    """

    id: str
    project: str
    endpoint: str | None = None
    """Whose; None for a training that a person asked for: what it makes is for every endpoint of the project."""
    kind: Kind
    trigger: TriggerName
    """What set off the training that this decision belongs to."""
    reason: str
    evidence: dict[str, Any]
    run_id: str | None = None
    event_time: datetime | None = None
    at: datetime
