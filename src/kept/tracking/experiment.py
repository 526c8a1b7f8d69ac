"""An experiment: a name under which runs are gathered."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Lifecycle(StrEnum):
    """Whether a thing is in use. What was deleted can be restored until it is collected."""

    ACTIVE = "active"
    DELETED = "deleted"


class View(StrEnum):
    """Which things a search looks at."""

    ACTIVE = "active"
    DELETED = "deleted"
    ALL = "all"

    @property
    def lifecycles(self) -> tuple[Lifecycle, ...]:
        """The lifecycles it takes in."""
        return tuple(Lifecycle) if self is View.ALL else (Lifecycle(self.value),)


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment. Ids are whole numbers, given out in order, as text. A Kept project has one of its own name."""

    id: str
    name: str
    """Unique among all experiments, deleted ones included."""
    artifact_location: str
    """The address under which the files of its runs stand."""
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    tags: dict[str, str] = {}
    created_at: datetime
    updated_at: datetime


class ExperimentPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a search, and the token of the next one, or None when this is the last."""

    experiments: list[Experiment]
    next_page: str | None = None
