from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from kept.measures.drift.cycle import Cycle, season_of
from kept.training.reference import season_numbers, window_numbers

BEGIN = datetime(2013, 4, 1, tzinfo=UTC)


def test_rows_of_a_window_are_of_the_season_in_which_it_begins() -> None:
    """The 1st of April 2013 was a Monday."""
    moments = pl.Series([BEGIN + timedelta(hours=7 * step) for step in range(30)], dtype=pl.Datetime("us", "UTC"))
    four = timedelta(hours=4)
    hours = season_numbers(moments, four, "hour of day")
    assert hours.tolist() == [moment.hour // 4 * 4 for moment in moments]
    assert season_numbers(moments, four, "day of week").tolist() == [moment.weekday() for moment in moments]
    windows = window_numbers(moments, four)
    assert all(len(set(hours[windows == number])) == 1 for number in set(windows))


@pytest.mark.parametrize("zone", ["UTC", "Australia/Sydney", "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("cycle", ["hour of day", "day of week"])
def test_seasons_go_by_the_clock_of_the_place_over_a_whole_year(zone: str, cycle: Cycle) -> None:
    """What training rows are told apart by is what windows of serving are, summer time and all."""
    moments = pl.datetime_range(BEGIN, BEGIN + timedelta(days=366), "1h", time_zone="UTC", eager=True)
    told = season_numbers(moments, timedelta(hours=1), cycle, zone)
    assert told.tolist() == [season_of(cycle, moment, zone) for moment in moments]


def test_the_day_on_which_summer_time_ends_has_an_hour_twice_and_that_on_which_it_begins_one_less() -> None:
    """Sydney's clocks went back on 7 April 2013 at 16:00 UTC of the 6th, and forward on 6 October at 16:00 UTC of the 5th."""
    back = [datetime(2013, 4, 6, 13, tzinfo=UTC) + timedelta(hours=step) for step in range(6)]
    assert [season_of("hour of day", moment, "Australia/Sydney") for moment in back] == [0, 1, 2, 2, 3, 4]
    forward = [datetime(2013, 10, 5, 14, tzinfo=UTC) + timedelta(hours=step) for step in range(4)]
    assert [season_of("hour of day", moment, "Australia/Sydney") for moment in forward] == [0, 1, 3, 4]
    # A Saturday evening of UTC is Sunday there.
    assert [season_of("day of week", back[0], zone) for zone in ("UTC", "Australia/Sydney")] == [5, 6]
