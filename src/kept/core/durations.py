"""Lengths of time as people write them: 45s, 10m, 2h, 7d, 4w."""

import re
from datetime import timedelta

from kept.core.errors import Invalid

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORM = re.compile(r"^(\d+(?:\.\d+)?)\s*([smhdw])$", re.ASCII)


def duration(text: str | timedelta, *, where: str = "duration") -> timedelta:
    """A length of time from text such as `2h` or `7d`; a timedelta is passed through."""
    fix = "Write it like 30m, 2h, 7d or 4w"
    if isinstance(text, timedelta):
        if text < timedelta(0):
            raise Invalid(f"{text} is below zero", where=where, fix=fix)
        return text
    found = _FORM.match(text.strip())
    if found is None:
        raise Invalid(f"{text!r} is not a length of time", where=where, fix=fix)
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError as error:
        raise Invalid(f"{text!r} is too long", where=where, fix=fix) from error


def format_duration(length: timedelta) -> str:
    """The shortest text that `duration` reads back as the same length (to a thousandth of a second)."""
    seconds = length.total_seconds()
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def tell_duration(length: timedelta) -> str:
    """The length as a person would say it: its two largest units, rounded down, as in `1d 23h`."""
    left = int(length.total_seconds())
    parts = []
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, unit))
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    said = [f"{count}{unit}" for place, (count, unit) in enumerate(parts[first : first + 2]) if count or not place]
    return " ".join(said)
