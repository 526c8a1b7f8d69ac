"""Parsing a version's name in one word, such as `flights/3`, wherever one is accepted."""

import re
from typing import Literal

import msgspec

from kept.core.errors import Invalid

_ADDRESS = "models:/"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
FORMS = "NAME/NUMBER, NAME@ALIAS, models:/NAME/NUMBER or an id"


class VersionName(msgspec.Struct, frozen=True, kw_only=True):
    """A model and a version of it, as far as a word names them; empty where it does not."""

    model: str = ""
    version: str = ""
    """A number, an alias, an id, or `latest`."""

    @property
    def is_id(self) -> bool:
        """Whether it is named by its id, which needs no model."""
        return _ID.match(self.version) is not None


def parse_version_name(text: str, *, alone: Literal["model", "version"]) -> VersionName:
    """What a word names: `churn/3`, `churn/latest`, `churn@champion`, each with `models:/` before it or not, or an id.

    A word without any of these marks is a model's name or a version's (a number, an alias), as `alone` says: it depends on
    where it stands.

    Raises:
        Invalid: a part of it is missing.
    """
    path = text.removeprefix(_ADDRESS)
    # Names of models may hold an @, aliases and numbers do not.
    name, mark, version = path.rpartition("@") if "/" not in path else path.partition("/")
    if mark and (not name or not version or "/" in version):
        raise Invalid(f"{text!r} names no version", where="version", fix=f"Write {FORMS}")
    if mark:
        return VersionName(model=name, version=version)
    if _ID.match(path):
        return VersionName(version=path)
    return VersionName(model=path) if alone == "model" or path != text else VersionName(version=path)
