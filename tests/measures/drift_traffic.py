"""Small tables that drift or do not: six numeric columns that hang together, two categorical ones."""

import numpy as np

from kept.measures.arrays import Array
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.detector import DriftState, start, update
from kept.measures.drift.grid import Kind
from kept.measures.drift.reference import Reference, build_reference, count_window

NUMERIC, CATEGORICAL = 6, 2
KINDS: dict[str, Kind] = {
    **{f"x{i}": "numeric" for i in range(NUMERIC)},
    **{f"c{i}": "categorical" for i in range(CATEGORICAL)},
}
_NAMES = np.array(["a", "b", "c", "d", "e"], dtype=object)
_SHARES = np.array([0.4, 0.3, 0.2, 0.07, 0.03])


def traffic(
    random: np.random.Generator, rows: int, *, wander: float = 0.0, shift: float = 0.0, columns: int = 2
) -> dict[str, Array]:
    """One window; `wander` moves each column a little, as days do, `shift` moves the first ones."""
    common = random.normal(size=rows)
    table: dict[str, Array] = {}
    for place in range(NUMERIC):
        values = 0.6 * common + 0.8 * random.normal(size=rows) + wander * random.normal()
        table[f"x{place}"] = values + (shift if place < columns else 0.0)
    for place in range(CATEGORICAL):
        shares = _SHARES * np.exp(wander * random.normal(size=_SHARES.size))
        table[f"c{place}"] = random.choice(_NAMES, rows, p=shares / shares.sum())
    return table


def joined(tables: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def reference_of(random: np.random.Generator, windows: int, rows: int, *, wander: float = 0.0) -> Reference:
    table = joined([traffic(random, rows, wander=wander) for _ in range(windows)])
    return build_reference(table, KINDS, [slice(i * rows, (i + 1) * rows) for i in range(windows)])


def alarms(
    random: np.random.Generator,
    reference: Reference,
    *,
    budget: float,
    windows: int,
    rows: int,
    wander: float = 0.0,
    shift: float = 0.0,
) -> list[int]:
    """The windows at which it alarmed, started anew after each."""
    state, found = start(reference, budget), []
    for at in range(windows):
        window = count_window(reference, traffic(random, rows, wander=wander, shift=shift))
        state, finding = update(state, reference, window)
        if finding.alarm:
            found.append(at)
            state = start(reference, budget)
    return found


def watch(reference: Reference, state: DriftState, windows: list[WindowCounts]) -> DriftState:
    for window in windows:
        state, _ = update(state, reference, window)
    return state
