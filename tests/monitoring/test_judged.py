from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kept.monitoring.judged import WINDOWS_BACK, Judged, JudgedWindow, began, title_of
from kept.plan.policy import Broken

FIRST = datetime(2013, 4, 1, tzinfo=UTC)
THREE = Broken(windows=3)


def window(day: int, failed: bool) -> JudgedWindow:
    return JudgedWindow(start=FIRST + timedelta(days=day), labelled=True, failed={"auc": failed})


@given(st.permutations([window(day, failed=day % 5 != 0) for day in range(12)]))
def test_windows_say_the_same_in_whatever_order_they_come(windows: list[JudgedWindow]) -> None:
    judged = Judged()
    for one in windows:
        judged = judged.with_window(window(0, failed=True) if one.start == FIRST else one)
    judged = judged.with_window(window(0, failed=False))
    course = list(judged.course(THREE))
    assert [one.streaks.get("auc", 0) for one in course] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    (title,) = course[-1].standing
    assert title == title_of("auc", THREE)
    begun = began(course, title)
    assert begun is not None
    assert begun.start == FIRST + timedelta(days=3)


@given(st.lists(st.booleans(), min_size=WINDOWS_BACK, max_size=WINDOWS_BACK + 40))
def test_what_is_forgotten_counts_on(failed: list[bool]) -> None:
    whole = kept = Judged()
    for day, one in enumerate(failed):
        whole = whole.with_window(window(day, one))
        kept = kept.with_window(window(day, one)).newest(THREE)
    assert len(kept.windows) == WINDOWS_BACK
    assert list(kept.course(THREE))[-1] == list(whole.course(THREE))[-1]
