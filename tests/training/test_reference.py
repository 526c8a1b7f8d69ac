from datetime import UTC, datetime, timedelta

import polars as pl

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
