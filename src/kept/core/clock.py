"""Time: UTC everywhere. A clock is handed in, never looked up."""

from datetime import UTC, datetime
from typing import Protocol

from kept.core.errors import Invalid


class Clock(Protocol):
    """Tells the processing time."""

    def now(self) -> datetime:
        """The present moment, with the zone UTC."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> datetime:
        """The present moment, with the zone UTC."""
        return datetime.now(UTC)


def as_utc(moment: datetime, *, where: str) -> datetime:
    """The same moment in UTC. A time without a zone is refused, never guessed."""
    if moment.tzinfo is None:
        raise Invalid(
            f"the time {moment.isoformat()} has no zone",
            where=where,
            fix="Give it one, for example 2013-04-01T12:00:00Z",
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        fix = "Write a time between the years 1 and 9999 in UTC"
        raise Invalid(f"the time {moment.isoformat()} is out of range", where=where, fix=fix) from error


def parse_time(text: str, *, where: str) -> datetime:
    """An ISO 8601 moment with its zone, as UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is not a time", where=where, fix="Write it like 2013-04-01T12:00:00Z") from error
    return as_utc(moment, where=where)


def format_time(moment: datetime) -> str:
    """ISO 8601 with microseconds where they are not zero, ending in Z."""
    return as_utc(moment, where="time").isoformat().replace("+00:00", "Z")
