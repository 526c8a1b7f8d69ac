import numpy as np
import pytest

from kept.measures.groups import group_rate, widest_gap


@pytest.mark.parametrize(("groups", "rows"), [(2, 400), (10, 100)])
def test_groups_that_are_alike_are_told_apart_in_one_of_forty_cases(groups: int, rows: int) -> None:
    counts = np.random.default_rng(0).binomial(rows, 0.5, (2_000, groups))
    told = 0
    for one in counts:
        gap = widest_gap({str(place): (int(events), rows) for place, events in enumerate(one)})
        assert gap is not None
        told += gap.low > 0
    # 2.5% are 50, give or take 7.
    assert told <= 68


def test_groups_that_differ_are_told_apart() -> None:
    gap = widest_gap({"a": (30, 200), "b": (70, 200), "c": (50, 200)})
    assert gap is not None
    assert (gap.highest, gap.lowest) == ("b", "a")
    assert gap.value == pytest.approx(0.2)
    assert 0 < gap.low < 0.2 < gap.high


def test_a_rate_of_nothing_or_all_has_room_on_one_side() -> None:
    none, every = group_rate("a", 0, 30), group_rate("a", 30, 30)
    assert (none.low, every.high) == (0.0, 1.0)
    assert none.high == pytest.approx(0.114, abs=0.001)
    assert every.low == pytest.approx(0.886, abs=0.001)


def test_one_group_has_no_gap() -> None:
    assert widest_gap({"a": (1, 2)}) is None
