"""Ranges of hyperparameters to search."""

from typing import Literal

import msgspec

from kept.core.errors import Invalid


class Floats(msgspec.Struct, frozen=True, kw_only=True, tag="floats"):
    """Numbers from low to high."""

    low: float
    high: float
    log: bool = False


class Ints(msgspec.Struct, frozen=True, kw_only=True, tag="ints"):
    """Whole numbers from low to high, both included."""

    low: int
    high: int
    log: bool = False


class Choices(msgspec.Struct, frozen=True, kw_only=True, tag="choices"):
    """One of these values."""

    values: tuple[str | int | float | bool | None, ...]


Space = Floats | Ints | Choices


def floats(low: float, high: float, *, log: bool = False) -> Floats:
    """Numbers from low to high; on a logarithmic scale where ratios matter."""
    _ordered("floats", low, high, log=log)
    return Floats(low=low, high=high, log=log)


def ints(low: int, high: int, *, log: bool = False) -> Ints:
    """Whole numbers from low to high, both included."""
    _ordered("ints", low, high, log=log)
    return Ints(low=low, high=high, log=log)


def choices(*values: str | float | bool | None) -> Choices:
    """One of these values."""
    if len(set(values)) < 2:
        raise Invalid("there is nothing to choose from", where="choices", fix='Name two or more: choices("a", "b")')
    return Choices(values=values)


def _ordered(kind: Literal["floats", "ints"], low: float, high: float, *, log: bool) -> None:
    where = f"{kind}({low!r}, {high!r})"
    if not low < high:
        raise Invalid("the low end is not below the high end", where=where, fix=f"Write {kind}(1, 10)")
    if log and low <= 0:
        raise Invalid("a logarithmic range must start above 0", where=where, fix="Raise the low end or drop log=True")
