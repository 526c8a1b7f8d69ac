"""Camel-case spellings of fields, which clients may use in any body."""

from typing import Any, get_args, get_origin

import msgspec

from kept.mlflow_api.errors import invalid


def camels_within(kind: Any) -> set[str]:
    """The camel case names of the fields of a type and of what it holds, where they differ."""
    fields = msgspec.structs.fields(kind)
    own = {camel(field.name) for field in fields if camel(field.name) != field.name}
    return own.union(*(camels_within(inner) for field in fields if (inner := _inner(field.type)) is not None))


def with_names_of(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The values under the names of the type's fields; a field that is spelled both ways is refused."""
    renamed = dict(values)
    for field in msgspec.structs.fields(kind):
        other = camel(field.name)
        if other != field.name and other in values:
            if field.name in values:
                raise invalid(f"Request specifies both '{field.name}' and '{other}'; provide only one of them.")
            renamed[field.name] = renamed.pop(other)
        inner = _inner(field.type)
        if inner is not None and field.name in renamed:
            renamed[field.name] = _within(inner, renamed[field.name])
    return renamed


def _within(kind: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_within(kind, one) for one in value]
    return with_names_of(kind, value) if isinstance(value, dict) else value


def _inner(kind: Any) -> Any:
    """The struct that a field holds, or a list of it, or None."""
    for one in (kind, *get_args(kind)):
        held = get_args(one)[0] if get_origin(one) is list else one
        if isinstance(held, type) and issubclass(held, msgspec.Struct):
            return held
    return None


def camel(name: str) -> str:
    """A name in camel case."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
