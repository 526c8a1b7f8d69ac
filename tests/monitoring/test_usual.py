"""How many rows are usual: by the time of day, and by the weekday where one is declared."""

from datetime import UTC, datetime, timedelta

import msgspec

from kept.measures.arrays import decode
from kept.monitoring.quality import check_volume
from kept.monitoring.traffic import TrafficState
from kept.monitoring.usual import Usual, day_of_rest
from kept.monitoring.window import window_of
from kept.plan.windows import Windows

# A Monday.
APRIL = datetime(2013, 4, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def odd_days(*, declared: bool) -> list[int]:
    """The days of seven weeks, from Monday 0 on, that are told of: Sundays have a tenth of the rows, one Monday has as few."""
    usual = Usual()
    found = []
    for day in range(49):
        rows = 100 if day % 7 == 6 or day == 42 else 1_000
        window = window_of(APRIL + day * DAY, Windows(length=DAY))
        of_week = usual.at_week(window)
        earlier = of_week if declared else usual.at_day(window)
        if check_volume(rows, earlier, of_week, day_of_rest=day_of_rest(window)) is not None:
            found.append(day)
        usual = usual.with_rows(window, rows)
    return found


def test_a_quiet_sunday_is_no_news_from_the_first_on_and_a_quiet_monday_is() -> None:
    assert odd_days(declared=True) == [42]
    assert odd_days(declared=False) == [42]


def test_a_day_of_rest_is_told_of_once_one_was_seen_and_any_other_at_once() -> None:
    week = [1000] * 7
    for rows in (0, 8):
        assert check_volume(rows, week, day_of_rest=True) is None
        assert check_volume(rows, week, [900], day_of_rest=True) is not None
        assert check_volume(rows, week) is not None
    days = [day_of_rest(window_of(APRIL + day * DAY, Windows(length=DAY))) for day in range(7)]
    assert days == [False] * 4 + [True] * 3
    # Late on a Thursday by UTC it is Friday in Sydney.
    assert day_of_rest(window_of(APRIL + 3 * DAY + 20 * HOUR, Windows(length=HOUR)), "Australia/Sydney")


def test_hours_are_told_apart_by_the_clock_of_the_place() -> None:
    """Shops of Berlin close at 20 o'clock in winter and in summer, which UTC calls 19 and 18."""
    usual = Usual()
    begin = datetime(2013, 3, 24, tzinfo=UTC)
    for hour in range(24 * 7):
        window = window_of(begin + hour * HOUR, Windows(length=HOUR))
        open_until_19_utc = window.start.hour < 19
        usual = usual.with_rows(window, 500 if open_until_19_utc else 0, "Europe/Berlin")
    # Summer time began on the 31st: now it is 18 of UTC.
    closed = window_of(datetime(2013, 3, 31, 18, tzinfo=UTC), Windows(length=HOUR))
    assert check_volume(0, usual.at_day(closed, "Europe/Berlin")) is None
    assert check_volume(0, usual.at_day(closed)) is not None


def test_what_was_remembered_before_weekdays_were_told_apart_is_read() -> None:
    stored = msgspec.msgpack.encode(
        {"usual": {0: (900, 1_000), 3_600: (20,)}, "standing": {"there are no predictions": 1}}
    )
    state = decode(stored, TrafficState)
    usual = state.usual_in("UTC")
    assert usual.at_day(window_of(APRIL, Windows(length=DAY))) == (900, 1_000)
    assert usual.at_week(window_of(APRIL, Windows(length=DAY))) == ()
    assert state.standing == {"there are no predictions": 1}


def test_what_was_usual_by_another_clock_is_not_usual_by_this_one() -> None:
    """Nights of Sydney are days of UTC: what was remembered before the zone was declared would make each of them thin."""
    state = TrafficState(usual={hour * 3_600: (1_000,) * 7 for hour in range(24)})
    night = window_of(datetime(2013, 4, 8, 15, tzinfo=UTC), Windows(length=HOUR))
    assert check_volume(5, state.usual_in("UTC").at_day(night)) is not None
    assert check_volume(5, state.usual_in("Australia/Sydney").at_day(night, "Australia/Sydney")) is None
