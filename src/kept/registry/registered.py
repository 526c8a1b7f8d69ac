"""A registered model and its numbered versions, judged or not, as outside clients see them."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Stage(StrEnum):
    """Where a version stands, in the words that aliases have replaced."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


ACTIVE_STAGES = (Stage.STAGING, Stage.PRODUCTION)


class RegisteredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version in the numbering of its model, with what may be said of it later."""

    id: str
    model: str
    number: int
    """1, 2, 3, ... of this model; the number of a deleted version is not given again."""
    judged: bool
    """Whether Kept judged it: then there is a `ModelVersion` of the same id. A client's version is unjudged."""
    source: str
    """What the client named as its source; empty for a judged version."""
    location: str
    """Where its files are fetched; empty for a judged version, which is a bundle."""
    run_id: str | None
    run_link: str | None
    logged_model: str | None
    """The logged model that it was made from."""
    description: str
    stage: Stage
    tags: dict[str, str] = {}
    aliases: tuple[str, ...] = ()
    created_by: str
    created_at: datetime
    updated_at: datetime


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A name under which versions are registered."""

    name: str
    description: str
    tags: dict[str, str] = {}
    aliases: dict[str, int] = {}
    """The number that each alias points to."""
    latest: tuple[RegisteredVersion, ...] = ()
    """The newest version of each stage."""
    created_at: datetime
    updated_at: datetime


class RegisteredModels(msgspec.Struct, frozen=True, kw_only=True):
    """A page of registered models."""

    models: list[RegisteredModel]
    next_page: str | None


class RegisteredVersions(msgspec.Struct, frozen=True, kw_only=True):
    """A page of versions."""

    versions: list[RegisteredVersion]
    next_page: str | None
