"""Parsing MLflow's flat YAML from outside: names with texts, numbers, lists and maps of texts, and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from kept.core.errors import Invalid

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 3
_MOST_VALUES = 100_000
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}\Z")
_NOTHING = {"", "~", "null", "Null", "NULL"}
_TRUTH = {"true": True, "True": True, "false": False, "False": False}


def read_flat(text: str, *, where: str) -> dict[str, Any]:
    """The names and values of a document; `Invalid` for anything that such a file never holds."""
    try:
        # From events and not by the loader: that one follows aliases and calls itself as deep as the text goes.
        events = iter(yaml.parse(text, Loader=_LOADER))
        found = _document(events)
    except (yaml.YAMLError, ValueError, _Strange) as error:
        said = " ".join(str(error).split())[:200]
        raise Invalid(f"it cannot be read ({said})", where=where) from error
    if not isinstance(found, dict):
        raise Invalid("it holds no names and values", where=where)
    return found


class _Strange(Exception):
    """The text is YAML, but none that is taken."""


def _document(events: Iterator[Any]) -> Any:
    """The value of the only document, built without calling itself."""
    open_ones: list[tuple[Any, list[Any]]] = []
    root: Any = None
    for count, event in enumerate(events):
        if count > _MOST_VALUES:
            raise _Strange("it holds too much")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Strange("it holds an alias")
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(open_ones) >= _DEEPEST:
                raise _Strange("it is nested too deep")
            _expect_plain(event)
            open_ones.append((event, []))
            continue
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            begun, items = open_ones.pop()
            value = items if isinstance(begun, yaml.SequenceStartEvent) else _mapping(items)
        else:
            continue
        if open_ones:
            open_ones[-1][1].append(value)
        else:
            root = value
    return root


def _mapping(items: list[Any]) -> dict[str, Any]:
    names = items[::2]
    if not all(isinstance(name, str | int) for name in names):
        raise _Strange("a name is no text")
    return {str(name): value for name, value in zip(names, items[1::2], strict=True)}


def _scalar(event: Any) -> Any:
    if event.tag is not None and event.tag != "!":
        raise _Strange(f"it holds a value of the kind {event.tag[:60]}")
    said: str = event.value
    if event.style or not event.implicit[0]:
        return said
    if said in _NOTHING:
        return None
    if said in _TRUTH:
        return _TRUTH[said]
    return int(said) if _WHOLE.match(said) else said


def _expect_plain(event: Any) -> None:
    if event.tag is not None:
        raise _Strange(f"it holds a value of the kind {event.tag[:60]}")
