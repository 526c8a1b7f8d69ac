from hypothesis import given
from hypothesis import strategies as st

from kept.monitoring.alerts import RaiseAlert
from kept.monitoring.conditions import AWAY, news, streaks

ALERT = RaiseAlert(project="p", endpoint="p", kind="quality", severity="warning", title="x is missing", evidence={})


@given(st.lists(st.booleans(), max_size=40))
def test_a_condition_is_said_once_until_it_has_been_away(seen: list[bool]) -> None:
    standing: dict[str, int] = {}
    last: int | None = None
    for at, there in enumerate(seen):
        said, standing = news(standing, {"x": ALERT} if there else {})
        assert bool(said) == (there and (last is None or at - last > AWAY))
        if there:
            last = at


def test_other_conditions_are_told_beside_one_that_lasts() -> None:
    _, standing = news({}, {"x": ALERT})
    said, standing = news(standing, {"x": ALERT, "y": ALERT})
    assert len(said) == 1
    assert standing == {"x": 0, "y": 0}


def test_streaks_count_failures_in_a_row() -> None:
    found = streaks({}, {"a": True, "b": True})
    found = streaks(found, {"a": True, "b": False})
    assert found == {"a": 2}
    assert streaks(found, {}) == {"a": 2}
