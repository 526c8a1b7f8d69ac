import msgspec
import numpy as np
import pytest
from drift_traffic import KINDS, alarms, joined, reference_of, traffic, watch

from kept.core.errors import Conflict, Damaged, Invalid
from kept.measures.arrays import Array, decode, encode
from kept.measures.drift.categories import Coded
from kept.measures.drift.causes import ColumnFinding
from kept.measures.drift.counts import empty_counts
from kept.measures.drift.detector import DriftFinding, DriftState, start, update
from kept.measures.drift.reference import Reference, build_reference, count_window, reference_from

ROWS = 300


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(np.random.default_rng(0), 20, ROWS)


def finding_after(reference: Reference, tables: list[dict[str, Array]], budget: float = 100) -> DriftFinding:
    state = start(reference, budget)
    for table in tables:
        state, finding = update(state, reference, count_window(reference, table))
    return finding


@pytest.mark.parametrize(("wander", "rows"), [(0.0, ROWS), (0.08, ROWS), (0.0, 25)])
def test_false_alarms_stay_within_the_budget(wander: float, rows: int) -> None:
    found = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        reference = reference_of(random, 20, rows, wander=wander)
        found += len(alarms(random, reference, budget=20, windows=50, rows=rows, wander=wander))
    # 300 windows at one in 20 allow 15.
    assert found <= 9


def test_wander_that_the_reference_shows_would_alarm_without_it() -> None:
    random = np.random.default_rng(3)
    wandering = reference_of(random, 20, 1_000, wander=0.1)
    still = msgspec.structs.replace(
        wandering, variation=msgspec.structs.replace(wandering.variation, between=np.zeros(wandering.layout.size))
    )
    told = alarms(np.random.default_rng(4), wandering, budget=50, windows=40, rows=1_000, wander=0.1)
    untold = alarms(np.random.default_rng(4), still, budget=50, windows=40, rows=1_000, wander=0.1)
    assert len(told) <= 2
    assert len(untold) >= 20


def test_residuals_that_forget_how_roughly_wander_is_known_alarm_too_often() -> None:
    gaussian = student = 0
    for seed in range(12):
        random = np.random.default_rng(100 + seed)
        told = reference_of(random, 10, ROWS, wander=0.15)
        sure = msgspec.structs.replace(
            told, variation=msgspec.structs.replace(told.variation, freedom=np.full(told.layout.size, 1e9))
        )
        student += len(alarms(np.random.default_rng(seed), told, budget=20, windows=25, rows=ROWS, wander=0.15))
        gaussian += len(alarms(np.random.default_rng(seed), sure, budget=20, windows=25, rows=ROWS, wander=0.15))
    assert student <= 15
    assert gaussian > student


@pytest.mark.parametrize(("shift", "latest"), [(0.2, 8), (0.5, 1)])
def test_a_shift_is_seen_in_time(reference: Reference, shift: float, latest: int) -> None:
    random = np.random.default_rng(5)
    delays = [
        (alarms(random, reference, budget=100, windows=20, rows=ROWS, shift=shift) or [20])[0] + 1 for _ in range(5)
    ]
    assert np.median(delays) <= latest


def test_slow_drift_is_seen_although_each_window_is_like_the_last(reference: Reference) -> None:
    random = np.random.default_rng(6)
    finding = finding_after(reference, [traffic(random, ROWS, shift=0.012 * day) for day in range(40)])
    assert finding.alarm


def test_causes_are_named(reference: Reference) -> None:
    random = np.random.default_rng(7)
    finding = finding_after(reference, [traffic(random, ROWS, shift=0.5) for _ in range(2)])
    assert {column.name for column in finding.columns[:2]} == {"x0", "x1"}
    assert [column.name for column in finding.columns if column.listed] == [c.name for c in finding.columns[:2]]
    first = finding.columns[0]
    assert first.statistic == "location"
    assert first.effect == pytest.approx(0.5, abs=0.2)
    assert first.distance.ks is not None
    assert msgspec.json.decode(msgspec.json.encode(first), type=ColumnFinding) == first


def test_a_category_that_grows_is_named(reference: Reference) -> None:
    random = np.random.default_rng(8)
    table = traffic(random, ROWS)
    table["c1"][: ROWS // 6] = "e"
    column = finding_after(reference, [table]).columns[0]
    assert (column.name, column.statistic, column.detail) == ("c1", "category", "e")
    assert column.reference == pytest.approx(0.03, abs=0.01)
    assert column.current == pytest.approx(0.19, abs=0.05)


def test_values_never_seen_alarm_when_many_and_not_when_one(reference: Reference) -> None:
    table = traffic(np.random.default_rng(9), ROWS)
    quiet = finding_after(reference, [table]).value
    table["c0"][0] = "new"
    assert finding_after(reference, [table]).value < max(2 * quiet, 5)
    table["c0"][:30] = "new"
    finding = finding_after(reference, [table])
    assert finding.alarm
    assert (finding.columns[0].name, finding.columns[0].detail) == ("c0", "unseen")


def test_missing_values_where_there_were_none(reference: Reference) -> None:
    table = traffic(np.random.default_rng(10), ROWS)
    table["x3"][:20] = np.nan
    finding = finding_after(reference, [table])
    assert finding.alarm
    assert (finding.columns[0].name, finding.columns[0].statistic) == ("x3", "missing")


def test_a_lost_correlation_is_seen_though_each_column_is_as_it_was(reference: Reference) -> None:
    random = np.random.default_rng(11)
    table = traffic(random, ROWS)
    table["x2"] = random.permutation(table["x2"])
    finding = finding_after(reference, [table])
    assert finding.alarm
    assert (finding.columns[0].name, finding.columns[0].statistic) == ("x2", "pair")
    assert abs(finding.columns[0].current or 0.0) < 0.2


def test_a_constant_that_changes_is_seen() -> None:
    random = np.random.default_rng(0)
    reference = build_reference(
        {"x": np.full(2_000, 3.0), "y": random.normal(size=2_000)}, {"x": "numeric", "y": "numeric"}
    )
    _, finding = update(
        start(reference, 100),
        reference,
        count_window(reference, {"x": np.full(200, 4.0), "y": random.normal(size=200)}),
    )
    assert finding.alarm
    assert (finding.columns[0].name, finding.assumes_independence) == ("x", True)


def test_an_empty_window_and_a_dead_column_change_nothing(reference: Reference) -> None:
    state = watch(reference, start(reference, 100), [count_window(reference, traffic(np.random.default_rng(1), ROWS))])
    after, finding = update(state, reference, empty_counts(reference.grid))
    assert np.array_equal(after.values, state.values)
    assert not finding.alarm
    assert finding.columns[0].distance.psi is None


def test_a_restart_continues_exactly(reference: Reference) -> None:
    random = np.random.default_rng(12)
    windows = [count_window(reference, traffic(random, ROWS, shift=0.1)) for _ in range(8)]
    whole = watch(reference, start(reference, 50), windows)
    elsewhere = decode(encode(reference), Reference)
    half = decode(encode(watch(reference, start(reference, 50), windows[:4])), DriftState)
    assert encode(watch(elsewhere, half, windows[4:])) == encode(whole)


def test_windows_counted_in_parts_are_found_the_same(reference: Reference) -> None:
    table = traffic(np.random.default_rng(13), ROWS, shift=0.3)
    parts = [{name: column[i::3] for name, column in table.items()} for i in range(3)]
    merged = sum((count_window(reference, part) for part in parts), start=empty_counts(reference.grid))
    whole = update(start(reference, 100), reference, count_window(reference, table))[1]
    again = update(start(reference, 100), reference, merged)[1]
    assert (again, again.columns) == (whole, whole.columns)


def test_a_reference_is_the_same_from_slices_numbers_or_counts() -> None:
    random = np.random.default_rng(14)
    table = joined([traffic(random, 50) for _ in range(12)])
    numbers = np.repeat(np.arange(12), 50)
    by_slice = build_reference(table, KINDS, [slice(i, i + 50) for i in range(0, 600, 50)])
    by_number = build_reference(table, KINDS, numbers)
    counts = [count_window(by_slice, {name: column[numbers == i] for name, column in table.items()}) for i in range(12)]
    assert encode(by_slice) == encode(by_number) == encode(reference_from(by_slice.grid, counts))
    assert not by_slice.assumes_independence
    assert by_slice.rows == 600


def test_fast_codes_can_be_cut_into_windows() -> None:
    codes = Coded(codes=np.tile([0, 1, 1, -1], 50), categories=("no", "yes"))
    reference = build_reference({"c": codes}, {"c": "categorical"}, np.repeat(np.arange(10), 20))
    assert reference.windows == 10
    finding = update(start(reference, 10), reference, count_window(reference, {"c": codes}))[1]
    assert not finding.alarm


def test_what_does_not_belong_together_is_refused(reference: Reference) -> None:
    other = reference_of(np.random.default_rng(99), 2, 50)
    with pytest.raises(Conflict):
        update(start(reference, 10), other, empty_counts(other.grid))
    with pytest.raises(Conflict):
        update(start(reference, 10), reference, empty_counts(other.grid))
    with pytest.raises(Invalid):
        start(reference, 0.5)
    with pytest.raises(Invalid):
        build_reference({}, {})
    with pytest.raises(Invalid):
        build_reference({"x": np.ones(3)}, {"x": "numeric"}, np.zeros(2, dtype=int))
    with pytest.raises(Invalid):
        build_reference({"x": np.ones(3)}, {"x": "numeric"}, np.full(3, -1))
    with pytest.raises(Damaged):
        decode(encode(start(reference, 10)), Reference)


def test_an_alarm_that_nobody_acts_on_grows_to_its_end_and_stays(reference: Reference) -> None:
    state, random, values = start(reference, 100), np.random.default_rng(8), []
    for _ in range(120):
        window = count_window(reference, traffic(random, ROWS, shift=3.0))
        state, finding = update(state, reference, window)
        values.append(finding.value)
    assert np.isfinite(values).all()
    assert np.isfinite(state.values).all()
    assert values[-1] > 1e200
