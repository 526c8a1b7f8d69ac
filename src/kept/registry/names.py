"""Validation of names of models, versions, aliases and tags, with the messages that clients know."""

import posixpath
import re

import msgspec

from kept.core.errors import Invalid
from kept.registry.registered import Stage
from kept.tracking.names import check_length, check_name

LATEST = "latest"
LONGEST_ALIAS = 255
LONGEST_TAG_NAME = 250
LONGEST_TAG = 100_000
_ALIAS = re.compile(r"[\w\-]*\Z")
_NUMBERED = re.compile(r"[vV]\d+\Z")
_NUMBER = re.compile(r"\s*[+-]?\d{1,18}\s*\Z", re.ASCII)
_LARGEST_NUMBER = 2**31 - 1
_MISSING = "Missing value for required parameter '{}'."


def check_model_name(name: str, field: str = "name") -> None:
    """Refuses what can not be the name of a registered model: it stands in addresses."""
    if not name.strip():
        raise Invalid(_MISSING.format(field))
    if "/" in name or ":" in name:
        raise Invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    if posixpath.normpath(name) != name or name in {".", ".."}:
        text = msgspec.json.encode(name).decode()
        reason = (
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {posixpath.normpath(name)!r}"
        )
        raise Invalid(f"Invalid value {text} for parameter 'name' supplied: {reason}")


def version_number(text: str) -> int:
    """The number of a version; 0, which no version has, for one beyond all numbers."""
    if not _NUMBER.match(text):
        raise Invalid(f"Parameter 'version' must be an integer, got '{text}'.")
    number = int(text)
    return number if 0 < number <= _LARGEST_NUMBER else 0


def check_alias(alias: str) -> None:
    """Refuses what can not be an alias that clients ask for."""
    if not alias:
        raise Invalid("Registered model alias name cannot be empty.")
    if not _ALIAS.match(alias):
        rule = "Names may only contain alphanumerics, underscores (_), and dashes (-)."
        raise Invalid(f"Invalid alias name: '{alias}'. {rule}")
    check_length("Registered model alias name", alias, LONGEST_ALIAS)


def check_new_alias(alias: str) -> None:
    """Refuses what can not be set as an alias, as it stands for something already."""
    check_alias(alias)
    if alias.lower() == LATEST:
        raise Invalid("'latest' alias name (case insensitive) is reserved.")
    if _NUMBERED.match(alias):
        raise Invalid(f"Version alias name '{alias}' is reserved.")


def check_tag(name: str, value: str) -> None:
    """Refuses a tag that can not be kept."""
    check_name(name, "key")
    check_length("key", name, LONGEST_TAG_NAME)
    check_length("value", value, LONGEST_TAG)


def stage_of(text: str) -> Stage:
    """The stage of a name, however its letters are written."""
    found = next((stage for stage in Stage if stage.value.lower() == text.lower()), None)
    if found is None:
        raise Invalid(f"Invalid Model Version stage: {text}. Value must be one of {', '.join(Stage)}.")
    return found
