"""A process of a running Kept, as its heartbeat describes it."""

from datetime import datetime
from typing import Any

import msgspec


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A web, work or serve process, as it last said of itself."""

    id: str
    kind: str
    host: str
    pid: int
    address: str
    started_at: datetime
    seen_at: datetime
    details: dict[str, Any]
