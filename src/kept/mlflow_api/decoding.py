"""Reads what clients send: JSON bodies and query strings, with whole numbers as numbers or as text."""

import types
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, Union, get_args, get_origin
from urllib.parse import parse_qs

import msgspec

from kept.mlflow_api.errors import Refused, invalid, missing, unfit
from kept.mlflow_api.spelling import camels_within, with_names_of

Sent = TypeVar("Sent", bound=msgspec.Struct)
_RUN = "run_id"
_OLD_RUN = "run_uuid"


class Reader(Generic[Sent]):
    """Reads requests of one type. What does not fit is refused with the sentence that clients know."""

    def __init__(self, kind: type[Sent]) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind, strict=False)
        self._fields = msgspec.structs.fields(kind)
        self._has_old_run = any(field.name == _OLD_RUN for field in self._fields)
        self._lists = {field.name for field in self._fields if _is_list(field.type)}
        self._flags = {field.name for field in self._fields if bool in _members(field.type)}
        self._camels = tuple(f'"{name}"'.encode() for name in sorted(camels_within(kind)))

    def body(self, raw: bytes, placed: Mapping[str, str]) -> Sent:
        """The request of a body, and of what stands in the path."""
        camel = any(name in raw for name in self._camels)
        if not placed and not camel:
            try:
                return self._decoder.decode(raw or b"{}")
            except (msgspec.DecodeError, RecursionError):
                pass
        values = _loaded(raw)
        return self._convert({**(with_names_of(self._kind, values) if camel else values), **placed})

    def query(self, raw: bytes, placed: Mapping[str, str]) -> Sent:
        """The request of a query string, and of what stands in the path."""
        given = parse_qs(raw.decode("latin-1"), keep_blank_values=True)
        values: dict[str, Any] = {name: some if name in self._lists else some[0] for name, some in given.items()}
        for name in self._flags & values.keys():
            if values[name].lower() not in {"true", "false"}:
                raise invalid(f"Invalid boolean value: {values[name]}, must be 'true' or 'false'.")
            values[name] = values[name].lower() == "true"
        return self._convert({**values, **placed})

    def _convert(self, values: dict[str, Any]) -> Sent:
        try:
            return msgspec.convert(values, self._kind, strict=False)
        except msgspec.ValidationError as error:
            raise self._refusal(values, error) from error

    def _refusal(self, values: dict[str, Any], error: msgspec.ValidationError) -> Refused:
        """The first thing that is wrong, in the order of the fields."""
        for field in self._fields:
            value = values.get(field.encode_name)
            required = field.required or (field.name == _RUN and self._has_old_run and values.get(_OLD_RUN) is None)
            if value is None or value == "":
                if required:
                    return missing(field.name)
                continue
            try:
                msgspec.convert(value, field.type, strict=False)
            except msgspec.ValidationError:
                return _absent_within(field.name, field.type, value) or unfit(field.name, value)
        return invalid(f"Invalid request: {error}.")


def _absent_within(name: str, kind: Any, value: Any) -> Refused | None:
    """What is missing of an element of a list, when that is what is wrong with it."""
    elements = next((get_args(one)[0] for one in (kind, *get_args(kind)) if get_origin(one) is list), None)
    if not isinstance(value, list) or not isinstance(elements, type) or not issubclass(elements, msgspec.Struct):
        return None
    for place, element in enumerate(value):
        for field in msgspec.structs.fields(elements) if isinstance(element, dict) else ():
            if field.required and element.get(field.name) in (None, ""):
                return missing(f"{name}[{place}].{field.name}")
    return None


def _loaded(raw: bytes) -> dict[str, Any]:
    try:
        values = msgspec.json.decode(raw) if raw else {}
        if isinstance(values, str):  # some older clients encode twice
            values = msgspec.json.decode(values)
    except (msgspec.DecodeError, RecursionError):  # no JSON, or nested deeper than anything is
        values = {}
    return values if isinstance(values, dict) else {}


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)


def _is_list(kind: Any) -> bool:
    return any(get_origin(one) is list for one in _members(kind))
