import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from kept.measures.drift.counts import count_rows
from kept.measures.drift.distances import distances, jensen_shannon, population_stability
from kept.measures.drift.grid import learn_grid


def test_distances_are_those_of_the_raw_values() -> None:
    random = np.random.default_rng(0)
    before = {"x": random.normal(50, 4, 20_000), "y": random.gamma(0.5, 100, 20_000)}
    now = {"x": random.normal(51, 5, 5_000), "y": random.gamma(0.6, 100, 5_000)}
    grid = learn_grid(before, {"x": "numeric", "y": "numeric"})
    found = distances(grid, count_rows(grid, before), count_rows(grid, now))
    for name in ("x", "y"):
        distance = found[name]
        assert distance.ks == pytest.approx(stats.ks_2samp(before[name], now[name]).statistic, abs=0.003)
        assert distance.wasserstein == pytest.approx(stats.wasserstein_distance(before[name], now[name]), rel=0.03)


def test_shares_by_hand() -> None:
    before, now = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    assert jensen_shannon(before, now) == pytest.approx(jensenshannon(before, now, base=2))
    assert population_stability(before, now) == pytest.approx(-0.25 * np.log(0.5) + (0.25 - 1e-4) * np.log(0.25 / 1e-4))
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0


def test_the_same_window_is_at_distance_zero_and_an_empty_side_at_none() -> None:
    table = {"x": np.append(np.arange(100.0), np.inf), "c": np.array(["a", "b"] * 50 + ["a"], dtype=object)}
    gone = {"x": np.full(3, np.nan), "c": np.array([None] * 3, dtype=object)}
    grid = learn_grid(table, {"x": "numeric", "c": "categorical"})
    counts = count_rows(grid, table)
    same, empty = distances(grid, counts, counts), distances(grid, counts, count_rows(grid, gone))
    assert (same["x"].ks, same["x"].psi, same["x"].wasserstein) == (0.0, 0.0, None)
    assert same["c"].jensen_shannon == 0.0
    assert same["c"].ks is None
    for name in ("x", "c"):
        assert (empty[name].psi, empty[name].ks, empty[name].wasserstein) == (None, None, None)
