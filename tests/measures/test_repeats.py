import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kept.measures.repeats import holm, paired_contrast, repeated_mean, unpaired_contrast

numbers = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=12).filter(lambda found: np.std(found) > 1e-3)


@given(numbers)
def test_the_interval_is_students(values: list[float]) -> None:
    found = repeated_mean(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (found.estimate, found.low, found.high) == pytest.approx((np.mean(values), low, high), abs=1e-7)
    assert (found.rows, found.method) == (len(values), "t")


@given(numbers, numbers)
def test_differences_are_those_of_the_tests_that_bear_the_names(one: list[float], two: list[float]) -> None:
    welch = stats.ttest_ind(two, one, equal_var=False)
    found = unpaired_contrast(one, two)
    assert found.p == pytest.approx(welch.pvalue, abs=1e-6)
    low, high = welch.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)
    size = min(len(one), len(two))
    if np.std(np.subtract(two[:size], one[:size])) > 1e-3:
        paired = stats.ttest_rel(two[:size], one[:size])
        assert paired_contrast(one[:size], two[:size]).p == pytest.approx(paired.pvalue, abs=1e-6)


def test_one_value_has_no_interval_and_decides_nothing() -> None:
    assert repeated_mean([0.5]).estimate == 0.5
    assert repeated_mean([0.5]).low is None
    assert repeated_mean([]).estimate is None
    for found in (paired_contrast([0.1], [0.2]), unpaired_contrast([0.1], [0.2, 0.3]), unpaired_contrast([], [0.2])):
        assert (found.p, found.interval.low) == (None, None)


def test_values_that_are_the_same_each_time_differ_for_sure() -> None:
    found = paired_contrast([0.1, 0.3, 0.7], [0.2, 0.4, 0.8])
    assert found.p == 0.0
    assert found.interval.low == found.interval.high == pytest.approx(0.1)
    assert paired_contrast([0.5, 0.6], [0.5, 0.6]).p == 1.0


def test_folds_make_the_interval_wider() -> None:
    values = [0.71, 0.74, 0.69, 0.73, 0.72]
    plain, folded = repeated_mean(values), repeated_mean(values, folds=5)
    widths = [found.high - found.low for found in (plain, folded) if found.high is not None and found.low is not None]
    # The square root of (1/5 + 1/4) over 1/5.
    assert widths[1] / widths[0] == pytest.approx(1.5)
    assert folded.method == "t, corrected for folds"


def test_holm_is_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_the_corrected_interval_keeps_its_promise_over_folds() -> None:
    """On noise in a cross-validation, where the means of folds are alike because they share their rows."""
    random = np.random.default_rng(11)
    wrong = [0, 0]
    for _ in range(300):
        rows = random.normal(size=100)
        folds = np.array_split(random.permutation(100), 5)
        # What is measured on a fold is of its rows, after fitting a mean on the others.
        values = [float(rows[fold].mean() - np.delete(rows, fold).mean()) for fold in folds]
        for place, found in enumerate((repeated_mean(values), repeated_mean(values, folds=5))):
            wrong[place] += found.excludes(0.0)
    assert wrong[1] <= 15
