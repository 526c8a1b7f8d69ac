"""Rates of groups and their gaps."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from kept.measures.groups import group_rate, widest_gap
from kept.monitoring.fairness import measure_groups
from kept.monitoring.outcomes import Outcomes
from kept.plan.objective import at_least

OBJECTIVES = [at_least("accuracy", 0.5), at_least("accuracy", 0.5, by="group")]


def outcomes(seed: int, rows: int, favoured: float) -> Outcomes:
    random = np.random.default_rng(seed)
    group = random.choice(["a", "b", "rare"], rows, p=[0.5, 0.49, 0.01])
    labels = (random.random(rows) < 0.5).astype(np.float64)
    scores = np.clip(random.random(rows) + favoured * (group == "b"), 0, 1)
    return Outcomes(frame=pl.DataFrame({"group": group}), labels=labels, scores=scores)


@given(events=st.integers(0, 400), more=st.integers(0, 400))
def test_intervals_hold_the_rate(events: int, more: int) -> None:
    rows = events + more
    if rows:
        rate = group_rate("a", events, rows)
        assert 0 <= rate.low <= rate.value <= rate.high <= 1


@given(counts=st.dictionaries(st.text("abc", min_size=1, max_size=2), st.tuples(st.integers(0, 9), st.integers(9, 30))))
def test_the_widest_gap_is_of_the_highest_and_the_lowest(counts: dict[str, tuple[int, int]]) -> None:
    gap = widest_gap(counts)
    if len(counts) < 2:
        assert gap is None
        return
    rates = [events / rows for events, rows in counts.values()]
    assert gap is not None
    assert gap.value == pytest.approx(max(rates) - min(rates))
    assert gap.low <= gap.value <= gap.high


def test_wilsons_interval_is_the_known_one() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    rate = group_rate("a", 81, 263)
    assert rate.low == pytest.approx(0.2553, abs=1e-4)
    assert rate.high == pytest.approx(0.3662, abs=1e-4)
    assert rate.low == pytest.approx(_wilson_low(81, 263))


def _wilson_low(events: int, rows: int) -> float:
    z, p = norm.ppf(0.975), events / rows
    return float((p + z * z / 2 / rows - z * np.sqrt(p * (1 - p) / rows + z * z / 4 / rows**2)) / (1 + z * z / rows))


def test_a_gap_is_found_and_equal_groups_rarely_have_one() -> None:
    unequal = {(one.metric, one.slice): one for one in measure_groups("binary", OBJECTIVES, outcomes(0, 2_000, 0.3))}
    assert unequal["selection_rate_gap", "group"].holds is False
    assert unequal["selection_rate_gap", "group"].value == pytest.approx(0.3, abs=0.06)
    assert unequal["true_positive_rate", "group=b"].value == pytest.approx(0.8, abs=0.05)
    assert ("selection_rate", "group=rare") not in unequal
    broken = 0
    for seed in range(100):
        found = measure_groups("binary", OBJECTIVES, outcomes(seed, 800, 0.0))
        broken += next(one for one in found if one.metric == "selection_rate_gap").holds is False
    # 5 are expected of 100; 11 come with a chance of 1%.
    assert broken <= 11


def test_many_classes_have_an_accuracy_a_group_and_numbers_have_nothing() -> None:
    some = outcomes(0, 900, 0.0)
    three = Outcomes(frame=some.frame, labels=some.labels, scores=np.eye(3)[some.labels.astype(int)])
    found = measure_groups("multiclass", OBJECTIVES, three)
    assert {one.metric for one in found} == {"accuracy", "accuracy_gap"}
    assert all(one.value == 1 for one in found if one.metric == "accuracy")
    assert measure_groups("regression", OBJECTIVES, some) == []
    assert measure_groups("binary", OBJECTIVES[:1], some) == []
