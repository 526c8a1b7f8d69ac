import math
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kept.monitoring.alert import Alert
from kept.monitoring.change import broken_since, change_point
from kept.monitoring.result import WindowResult

START = datetime(2013, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def values(evidence: list[float]) -> list[WindowResult]:
    return [
        WindowResult(
            endpoint="e", version_id="v", start=START + day * DAY, monitor="drift", metric="drift", value=value, rows=9
        )
        for day, value in enumerate(evidence)
    ]


def detector(losses: np.ndarray, level: float = 0.5) -> list[float]:
    """A detector of Shiryaev and Roberts for a mean that has risen by 1 standard deviation."""
    found, value = [], 0.0
    for one in losses:
        value = (1 + value) * math.exp(1.0 * (one - level))
        found.append(value)
    return found


def test_it_finds_where_the_mean_rose() -> None:
    random = np.random.default_rng(3)
    misses = []
    for _ in range(50):
        at = int(random.integers(20, 60))
        course = np.concatenate([random.normal(0, 1, at), random.normal(1.5, 1, 15)])
        found = change_point(values(detector(course)))
        assert found is not None
        misses.append(abs((found - START) / DAY - at))
    assert np.median(misses) <= 1
    assert np.mean(misses) <= 3


def test_where_nothing_grew_there_is_no_change() -> None:
    assert change_point([]) is None
    assert change_point(values([0.9, 0.5, 0.2])) is None


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=30))
def test_it_is_the_start_of_one_of_the_windows(evidence: list[float]) -> None:
    found = change_point(values(evidence))
    assert found is None or found in {one.start for one in values(evidence)}


def test_an_objective_is_broken_since_the_first_window_that_counted() -> None:
    def alert(**evidence: object) -> Alert:
        return Alert(
            id="a", project="p", endpoint="e", kind="objective", severity="critical", title="t", evidence=evidence,
            version_id="v", event_time=START + 9 * DAY, at=START,
        )  # fmt: skip

    assert broken_since(alert(windows_in_a_row=3), DAY, []) == START + 6 * DAY
    assert broken_since(alert(over="7d"), DAY, []) == START + 2 * DAY
    assert broken_since(alert(), DAY, []) is None
    # On three days between nothing was labelled: they were not counted.
    labelled = [START + day * DAY for day in (0, 1, 3, 7, 8, 9)]
    assert broken_since(alert(windows_in_a_row=3), DAY, labelled) == START + 3 * DAY
