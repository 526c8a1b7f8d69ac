"""Cycles: days and weeks whose parts are each like themselves, and unlike one another.

People live by the clock of their place: its hours move against UTC when summer time begins and ends, and its days have 23 or
25 hours then. Which season a window lies in is told by the clock of the declared time zone.
"""

from datetime import datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

Cycle = Literal["hour of day", "day of week"]

CYCLES: tuple[Cycle, ...] = get_args(Cycle)
UTC = "UTC"


def length_of(cycle: Cycle) -> timedelta:
    """How long it takes until the same season comes again."""
    return timedelta(days=1) if cycle == "hour of day" else timedelta(days=7)


def season_of(cycle: Cycle, moment: datetime, zone: str = UTC) -> int:
    """The season in which a window that begins at this moment lies: its hour, or its weekday from Monday, 0, in the zone."""
    local = moment.astimezone(ZoneInfo(zone))
    return local.hour if cycle == "hour of day" else local.weekday()
