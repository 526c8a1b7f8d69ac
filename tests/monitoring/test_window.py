from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kept.monitoring.window import Window, closed_windows, maturity, window_of
from kept.plan.windows import Windows

moments = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
lengths = st.sampled_from([timedelta(minutes=7), timedelta(hours=1), timedelta(days=1), timedelta(days=7)])


@given(moments, lengths)
def test_a_moment_lies_in_its_window(moment: datetime, length: timedelta) -> None:
    window = window_of(moment, Windows(length=length))
    assert window.start <= moment < window.end
    assert window.end - window.start == length
    assert window_of(window.start, Windows(length=length)) == window
    assert window_of(window.end, Windows(length=length)).start == window.end


def test_days_begin_at_midnight() -> None:
    assert window_of(datetime(2013, 4, 1, 17, 5, tzinfo=UTC), Windows(length=timedelta(days=1))).start == datetime(
        2013, 4, 1, tzinfo=UTC
    )


@given(moments, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)), st.lists(st.floats(0, 1)))
def test_looking_often_gives_the_same_windows_as_looking_once(
    since: datetime, span: timedelta, shares: list[float]
) -> None:
    length = timedelta(hours=1)
    begin = window_of(since, Windows(length=length)).start
    once = list(closed_windows(begin, begin + span, Windows(length=length)))
    often: list[Window] = []
    for watermark in [*sorted(begin + span * share for share in shares), begin + span]:
        often += closed_windows(often[-1].end if often else begin, watermark, Windows(length=length))
    assert often == once
    assert all(window.end <= begin + span for window in once)
    assert len(once) == span // length


def test_a_window_that_began_before_is_left_out() -> None:
    noon = datetime(2013, 4, 1, 12, tzinfo=UTC)
    found = list(closed_windows(noon, noon + timedelta(days=2), Windows(length=timedelta(days=1))))
    assert [window.start.day for window in found] == [2]


def test_labels_are_mature_after_the_declared_delay_or_a_window() -> None:
    assert maturity(timedelta(0), timedelta(days=1)) == timedelta(days=1)
    assert maturity(timedelta(hours=6), timedelta(days=1)) == timedelta(hours=6)
