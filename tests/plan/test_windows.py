"""How event time is cut: every moment lies in one window, whole days of a place begin at its midnight."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.plan.windows import Windows

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# In Beirut, Havana and Santiago clocks go from 0 to 1 o'clock, or back from 24 to 23; the Azores are west of UTC in winter alone;
# in St. John's they went back from one past midnight, so that a minute later it was the day before.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Australia/Sydney",
    "Asia/Beirut",
    "America/Havana",
    "America/Santiago",
    "Atlantic/Azores",
    "America/St_Johns",
]
any_moments = st.datetimes(datetime(1996, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
back_again = st.datetimes(datetime(2006, 10, 29, 1), datetime(2006, 10, 29, 5), timezones=st.just(UTC))
moments = any_moments | back_again
windows = st.builds(Windows, length=st.sampled_from([HOUR, 6 * HOUR, DAY, 7 * DAY]), zone=st.sampled_from(ZONES))


@given(windows, moments)
def test_a_moment_lies_in_its_window_and_in_no_other(cut: Windows, moment: datetime) -> None:
    number = cut.number(moment)
    assert cut.start(number) <= moment < cut.start(number + 1)
    assert cut.number(cut.start(number)) == number


@given(windows, st.lists(moments, min_size=1, max_size=20))
def test_columns_are_cut_as_single_moments_are(cut: Windows, some: list[datetime]) -> None:
    told = pl.DataFrame({"at": pl.Series(some, dtype=pl.Datetime("us", "UTC"))}).select(cut.numbers(pl.col("at")))
    assert told.to_series().to_list() == [cut.number(one) for one in some]


@pytest.mark.parametrize(("zone", "lengths"), [("Europe/Berlin", {23, 24, 25}), ("Asia/Tokyo", {24}), ("UTC", {24})])
def test_days_of_a_place_begin_at_its_midnight(zone: str, lengths: set[int]) -> None:
    cut = Windows(length=DAY, zone=zone)
    first = cut.number(datetime(2026, 1, 1, 12, tzinfo=UTC))
    starts = [cut.start(first + day) for day in range(366)]
    assert {one.astimezone(ZoneInfo(zone)).time().isoformat() for one in starts} == {"00:00:00"}
    assert {(later - one) // HOUR for one, later in pairwise(starts)} == lengths


def test_shorter_windows_are_the_same_in_every_zone() -> None:
    moment = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    cut = Windows(length=HOUR, zone="Australia/Adelaide")
    assert cut.start(cut.number(moment)) == datetime(2026, 7, 1, 12, tzinfo=UTC)
