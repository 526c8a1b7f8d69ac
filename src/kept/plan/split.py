"""How rows are divided into training, validation and test."""

from datetime import timedelta

import msgspec

from kept.core.durations import duration
from kept.core.errors import Invalid


class TimeSplit(msgspec.Struct, frozen=True, kw_only=True, tag="time"):
    """The newest rows are the test, those before them the validation: as production will be."""

    test: timedelta | float
    """A length of event time, or a share of the rows."""
    validation: timedelta | float


class RandomSplit(msgspec.Struct, frozen=True, kw_only=True, tag="random"):
    """Rows at random."""

    test: float
    validation: float


class GroupSplit(msgspec.Struct, frozen=True, kw_only=True, tag="group"):
    """All rows of a group on one side."""

    by: str
    test: float
    validation: float


class StratifiedSplit(msgspec.Struct, frozen=True, kw_only=True, tag="stratified"):
    """The same mix of classes on every side."""

    test: float
    validation: float


Split = TimeSplit | RandomSplit | GroupSplit | StratifiedSplit


def by_time(*, test: str | timedelta | float = 0.2, validation: str | timedelta | float = 0.1) -> TimeSplit:
    """The newest rows for the test; lengths like `10d`, or shares of the rows like 0.2."""
    if not isinstance(test, str | timedelta) and not isinstance(validation, str | timedelta):
        return TimeSplit(**_shares(test, validation))
    return TimeSplit(test=_part(test, "test"), validation=_part(validation, "validation"))


def at_random(*, test: float = 0.2, validation: float = 0.1) -> RandomSplit:
    """Rows at random."""
    return RandomSplit(**_shares(test, validation))


def by_group(column: str, *, test: float = 0.2, validation: float = 0.1) -> GroupSplit:
    """Whole groups: rows with one value of the column are all on one side."""
    return GroupSplit(by=column, **_shares(test, validation))


def stratified(*, test: float = 0.2, validation: float = 0.1) -> StratifiedSplit:
    """The same mix of classes on every side."""
    return StratifiedSplit(**_shares(test, validation))


def _part(value: str | timedelta | float, where: str) -> timedelta | float:
    return duration(value, where=where) if isinstance(value, str | timedelta) else _share(value, where)


def _shares(test: float, validation: float) -> dict[str, float]:
    shares = {"test": _share(test, "test"), "validation": _share(validation, "validation")}
    if test + validation >= 1:
        what = f"test={test!r} and validation={validation!r} leave nothing to train on"
        raise Invalid(what, where="split", fix="Write shares that add up to less than 1, for example 0.2 and 0.1")
    return shares


def _share(value: float, where: str) -> float:
    if not 0 < value < 1:
        raise Invalid(f"{value!r} is not a share", where=where, fix="Write a number between 0 and 1, for example 0.2")
    return float(value)
