"""Facts of an import: registered models and their versions as another registry held them."""

from datetime import datetime
from typing import Any

import msgspec

from kept.core.digests import digest_json
from kept.registry.names import check_model_name
from kept.registry.registered import Stage
from kept.tracking.imported import check_texts
from kept.tracking.location import check_address


class ImportedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version as it was elsewhere."""

    number: int
    source: str = ""
    location: str = ""
    """Where its files stand."""
    run_id: str | None = None
    run_link: str | None = None
    logged_model: str | None = None
    description: str = ""
    stage: Stage = Stage.NONE
    tags: dict[str, str] = {}
    created_at: datetime
    updated_at: datetime


class ImportedRegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model as it was elsewhere, with its versions."""

    name: str
    description: str = ""
    tags: dict[str, str] = {}
    aliases: dict[str, int] = {}
    versions: list[ImportedVersion] = []
    highest: int = 0
    """The largest number that a version of it has or had, where that is known."""
    created_at: datetime
    updated_at: datetime


class ImportRegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model to bring, and what it was when it is here whole."""

    source: str
    model: ImportedRegisteredModel
    mark: str

    def for_audit(self) -> dict[str, Any]:
        """What is recorded of it."""
        numbers = [one.number for one in self.model.versions]
        return {"model": self.model.name, "versions": numbers, "digest": digest_json(self.model)}


class ImportedRegistered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a registered model that was brought."""

    new: bool
    new_versions: int
    numbers: dict[int, int]
    """The number here of each version there. They differ where another version had the number."""
    taken_aliases: list[str]
    """Aliases that point to other versions here, and were left."""


def check_registered(model: ImportedRegisteredModel) -> None:
    """Refuses a registered model that can not be kept."""
    check_model_name(model.name)
    where = f"registered model {model.name}"
    check_texts(where, {"": model.name, "description": model.description, **dict.fromkeys(model.aliases, "")})
    check_texts(where, model.tags)
    for one in model.versions:
        texts = (one.source, one.location, one.run_id, one.run_link, one.logged_model, one.description)
        check_texts(f"{where} version {one.number}", {str(place): text or "" for place, text in enumerate(texts)})
        check_texts(f"{where} version {one.number}", one.tags)
        for address in (one.source, one.location):
            check_address(address, f"{where} version {one.number}")
