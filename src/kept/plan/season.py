"""Declared seasons that monitoring windows can be told apart by."""

from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kept.core.errors import Invalid
from kept.measures.drift.cycle import CYCLES, UTC, Cycle

_WHERE = "project.monitor"
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


def check_season(season: Cycle | None, time_zone: str, window: timedelta) -> None:
    """`Invalid` for what is no season or no time zone, and where a window does not lie within one season."""
    _check_zone(time_zone)
    if season is None:
        if time_zone != UTC and window % _DAY:
            fix = 'Write window="1d", or season="hour of day" or season="day of week" as well'
            what = "a time zone tells days and seasons apart, and windows are no days and no season is declared"
            raise Invalid(what, where=_WHERE, fix=fix)
        return
    if season not in CYCLES:
        fix = f"Write season={' or season='.join(map(repr, CYCLES))}"
        raise Invalid(f"{season!r} is not a season", where=_WHERE, fix=fix)
    if _DAY % window or (season == "hour of day" and window == _DAY):
        fix = 'Write window="1h", or another part of a day; for season="day of week" a whole day will do'
        raise Invalid("a window does not lie within one season", where=_WHERE, fix=fix)
    if time_zone != UTC and _HOUR < window < _DAY:
        # Parts of a day are counted from midnight UTC: they begin at other hours of the place in summer than in winter.
        fix = 'Write window="1d", window="1h", or a part of an hour'
        raise Invalid(f"a window does not lie within one season of {time_zone}", where=_WHERE, fix=fix)


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        fix = 'Write its name in the IANA database: time_zone="Europe/Berlin"'
        raise Invalid(f"{name!r} is not a time zone", where=_WHERE, fix=fix) from error
