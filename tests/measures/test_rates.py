import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from kept.core.errors import Invalid
from kept.measures.rates import rate_evidence


@given(trials=st.integers(0, 5_000), share=st.floats(0, 1), limit=st.floats(0, 0.5))
@settings(deadline=None)
def test_more_events_are_more_evidence(trials: int, share: float, limit: float) -> None:
    events = int(trials * share)
    less, more = rate_evidence(max(events - 1, 0), trials, limit), rate_evidence(events, trials, limit)
    assert 0 <= less <= more * (1 + 1e-9) < float("inf")


def test_it_is_the_integral_that_it_says_it_is() -> None:
    limit, events, trials = 0.05, 6, 60
    weight = beta(1, 3)

    def ratio(p: float) -> float:
        likelihood = (p / limit) ** events * ((1 - p) / (1 - limit)) ** (trials - events)
        return float(likelihood * weight.pdf(p) / weight.sf(limit))

    assert rate_evidence(events, trials, limit) == pytest.approx(quad(ratio, limit, 1)[0], rel=1e-6)


def test_it_is_rarely_wrong_however_often_it_is_looked_at() -> None:
    random = np.random.default_rng(7)
    runs, trials, limit = 400, 600, 0.05
    counts = (random.random((runs, trials)) < limit).cumsum(axis=1)
    wrong = sum(any(rate_evidence(int(row[n - 1]), n, limit) >= 20 for n in range(5, trials, 5)) for row in counts)
    assert wrong / runs <= 0.05


def test_it_sees_a_broken_service_within_a_handful_of_requests() -> None:
    assert rate_evidence(3, 3, 0.01) > 500
    assert rate_evidence(10, 200, 0.01) > 20
    assert rate_evidence(2, 200, 0.01) < 20


def test_no_failure_is_allowed_where_the_limit_is_zero() -> None:
    assert rate_evidence(0, 10, 0.0) == 1.0
    assert rate_evidence(1, 10_000, 0.0) > 1e9


@pytest.mark.parametrize(("events", "trials", "limit"), [(2, 1, 0.1), (-1, 1, 0.1), (0, 1, 1.0), (0, 1, -0.1)])
def test_impossible_counts_are_refused(events: int, trials: int, limit: float) -> None:
    with pytest.raises(Invalid):
        rate_evidence(events, trials, limit)
