"""Mapping structs to rows and back: a frozen struct's fields are the columns of its table."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import RowMapping

Fact = TypeVar("Fact", bound=msgspec.Struct)


def to_row(fact: msgspec.Struct) -> dict[str, Any]:
    """The fact's fields as column values; nested facts become plain values for `Json` columns.

    Inside `Json` a NaN or infinity becomes null, so facts stored there type such numbers as `float | None`.
    """
    row: dict[str, Any] = msgspec.to_builtins(fact, builtin_types=(datetime, bytes))
    return {name: _without_moments(value) if isinstance(value, dict | list) else value for name, value in row.items()}


def from_row(row: RowMapping | Mapping[str, Any], kind: type[Fact]) -> Fact:
    """The fact that a row holds."""
    # Column names may be a subclass of str, which msgspec does not take for a key.
    return msgspec.convert({str(name): value for name, value in row.items()}, kind)


def _without_moments(value: Any) -> Any:
    return msgspec.to_builtins(value)
