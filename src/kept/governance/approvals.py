"""Approvals and waivers: a person's recorded word for a model version."""

from datetime import datetime
from typing import Literal

import msgspec


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word for a model version: `approval` lets it be released, `waiver` although it failed objectives."""

    id: str
    kind: Literal["approval", "waiver"]
    subject: str
    """The model version's id."""
    actor: str
    reason: str
    at: datetime
