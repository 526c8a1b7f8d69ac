import numpy as np
import pytest
from drift_traffic import KINDS, reference_of, traffic

from kept.measures.drift.counts import count_rows
from kept.measures.drift.reference import Reference, build_reference, count_window
from kept.measures.drift.statistics import StatisticKind, measure_window, standardise
from kept.measures.drift.variation import between_windows


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(np.random.default_rng(0), 20, 500)


def ratios(reference: Reference, kind: StatisticKind, *, windows: int, rows: int, shift: float = 0.0) -> np.ndarray:
    """The standardised statistics of this kind over their sampling error, a row a window."""
    random = np.random.default_rng(7)
    found = []
    for _ in range(windows):
        measured = measure_window(reference.grid, count_window(reference, traffic(random, rows, shift=shift)))
        away = standardise(reference.grid, reference.yard, measured)
        found.append((away * np.sqrt(measured.rows))[reference.layout.of(kind) & reference.yard.used])
    return np.array(found)


@pytest.mark.parametrize("kind", ["location", "scale", "shape", "category", "pair"])
def test_statistics_are_standard_when_nothing_has_changed(reference: Reference, kind: StatisticKind) -> None:
    found = ratios(reference, kind, windows=150, rows=400)
    spread = found.std(axis=0)
    # Nothing unseen was met: those statistics do not move at all.
    assert spread[spread > 0] == pytest.approx(1.0, abs=0.25)
    assert np.abs(found.mean(axis=0)).max() < 0.6


@pytest.mark.parametrize("kind", ["scale", "pair"])
def test_a_shift_of_means_is_not_a_change_of_spread_or_correlation(reference: Reference, kind: StatisticKind) -> None:
    # About the reference's means, two columns that move together look correlated, and each looks wider.
    shifted = ratios(reference, kind, windows=60, rows=500, shift=0.3)
    assert np.abs(shifted.mean(axis=0)).max() < 0.8
    assert ratios(reference, "location", windows=60, rows=500, shift=0.3)[:, :2].mean() > 4


def test_location_is_the_shift_in_standard_deviations(reference: Reference) -> None:
    found = ratios(reference, "location", windows=40, rows=900, shift=0.25) / 30
    assert found[:, :2].mean() == pytest.approx(0.25, abs=0.02)
    assert np.abs(found[:, 2:].mean()) < 0.03


def test_a_constant_column_is_watched_by_its_shares_alone() -> None:
    table = {"x": np.full(1_000, 3.0), "y": np.random.default_rng(0).normal(size=1_000)}
    reference = build_reference(table, {"x": "numeric", "y": "numeric"})
    used = reference.yard.used
    of_x = reference.layout.column == 0
    assert not used[of_x & reference.layout.of("location", "scale", "pair")].any()
    assert used[of_x & reference.layout.of("shape", "missing")].all()


def test_an_empty_window_measures_nothing(reference: Reference) -> None:
    measured = measure_window(
        reference.grid, count_rows(reference.grid, {n: np.array([], dtype=object) for n in KINDS})
    )
    assert not measured.rows.any()
    assert np.isfinite(measured.value).all()


def test_variation_between_windows_is_found_and_shrunk_to_its_group() -> None:
    random = np.random.default_rng(1)
    windows, statistics, rows = 20, 200, 500
    between = np.where(np.arange(statistics) < 100, 0.05**2, 0.0)
    away = random.normal(size=(windows, statistics)) * np.sqrt(1 / rows + between)
    group = (np.arange(statistics) >= 100).astype(np.int64)
    found = between_windows(away, np.full(away.shape, float(rows)), group, np.ones(statistics, dtype=bool))
    assert found.between[:100].mean() == pytest.approx(0.05**2, rel=0.2)
    assert found.between[100:].mean() < 0.1 * 0.05**2
    alone = between_windows(
        away, np.full(away.shape, float(rows)), np.arange(statistics), np.ones(statistics, dtype=bool)
    )
    assert found.between[:100].std() < 0.5 * alone.between[:100].std()
    assert found.freedom.min() > alone.freedom.max()


def test_few_windows_are_taken_to_vary_by_sampling_alone() -> None:
    away = np.random.default_rng(1).normal(size=(9, 50))
    found = between_windows(away, np.full(away.shape, 500.0), np.zeros(50, dtype=np.int64), np.ones(50, dtype=bool))
    assert not found.between.any()
