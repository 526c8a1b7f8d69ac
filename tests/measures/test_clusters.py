"""Events that come in clusters, counted for as much as they tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.measures.clusters import ClusteredCounts, clustered_counts
from kept.measures.rates import rate_evidence


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_counts_never_grow_and_keep_their_share(rows: list[tuple[bool, int]], cut: int) -> None:
    events = np.array([event for event, _ in rows], dtype=np.bool_)
    clusters = np.array([cluster for _, cluster in rows], dtype=np.int64)
    whole = clustered_counts(events[:cut], clusters[:cut]) + clustered_counts(events[cut:], clusters[cut:])
    assert (whole.events, whole.trials) == (events.sum(), events.size)
    happened, trials = whole.effective
    assert 0 <= happened <= whole.events
    assert happened * whole.trials == pytest.approx(trials * whole.events)


def test_a_share_that_changes_from_part_to_part_is_no_cluster() -> None:
    random = np.random.default_rng(1)
    total = ClusteredCounts()
    for share in (0.01, 0.01, 0.2, 0.2):
        total += clustered_counts(random.random(600) < share, random.integers(0, 30, 600))
    assert total.design_effect < 1.5


def test_the_design_effect_is_the_size_of_clusters_that_are_all_alike() -> None:
    clusters = np.repeat(np.arange(400), 10)
    alike = (np.random.default_rng(0).random(400) < 0.2)[clusters]
    assert clustered_counts(alike, clusters).design_effect == pytest.approx(10, rel=0.05)
    each = np.random.default_rng(0).random(4_000) < 0.2
    assert clustered_counts(each, clusters).design_effect == pytest.approx(1, abs=0.2)
    assert clustered_counts(alike, np.zeros(4_000)).effective[1] == pytest.approx(1)
    assert clustered_counts(np.ones(50), np.zeros(50)).effective == pytest.approx((1, 1))
    assert ClusteredCounts().effective == (0.0, 0.0)


@pytest.mark.parametrize("heavy", [False, True])
def test_wrong_entities_within_the_limit_are_told_of_in_one_of_a_hundred_rounds_at_most(*, heavy: bool) -> None:
    """Ten windows of 200 requests of 20 entities; of each window one entity of a hundred is served wrong throughout."""
    by_rows = by_entity = 0
    weights = 1 / np.arange(1, 21) if heavy else np.ones(20)
    for seed in range(200):
        random, total, seen = np.random.default_rng(seed), ClusteredCounts(), [0.0, 0.0]
        for _ in range(10):
            entity = np.repeat(np.arange(20), random.multinomial(200, weights / weights.sum()))
            total += clustered_counts((random.random(20) < 0.01)[entity], entity)
            evidence = rate_evidence(total.events, total.trials, 0.01), rate_evidence(*total.effective, 0.01)
            seen = [max(pair) for pair in zip(seen, evidence, strict=True)]
        by_rows += seen[0] >= 100
        by_entity += seen[1] >= 100
    assert by_entity <= 2
    assert by_rows > 20
