"""Cycles: days and weeks whose parts are each like themselves, and unlike one another."""

from datetime import datetime, timedelta
from typing import Literal, get_args

Cycle = Literal["hour of day", "day of week"]

CYCLES: tuple[Cycle, ...] = get_args(Cycle)


def length_of(cycle: Cycle) -> timedelta:
    """How long it takes until the same season comes again."""
    return timedelta(days=1) if cycle == "hour of day" else timedelta(days=7)


def season_of(cycle: Cycle, moment: datetime) -> int:
    """The season in which a window that begins at this moment lies: its hour of UTC, or its weekday from Monday, 0."""
    return moment.hour if cycle == "hour of day" else moment.weekday()
