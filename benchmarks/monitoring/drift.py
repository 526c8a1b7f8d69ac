"""The drift detector: its cost, its false alarms, its delay. All at a budget of one false alarm in 100 windows."""

import time

import numpy as np
from figure import Figure, share
from kept_tables import kinds, reference, table
from windows import draw

from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.detector import start, update
from kept.measures.drift.reference import build_reference, count_window

BUDGET = 100
_QUIET_BEFORE, _LONGEST = 5, 60


def cost(rows: int, repeats: int = 3) -> float:
    """CPU seconds to count a window and to judge it, the least of some; the counts are checked on the way."""
    random = np.random.default_rng(0)
    past = build_reference(table(draw(random, 100_000)), kinds(), np.repeat(np.arange(20), 5_000))
    window = draw(random, rows)
    columns, taken = table(window), []
    for _ in range(repeats):
        began = time.process_time()
        counts = count_window(past, columns)
        update(start(past, BUDGET), past, counts)
        taken.append(time.process_time() - began)
    _check(counts, window, past.grid.offsets)
    return min(taken)


def _check(counts: WindowCounts, window: tuple[np.ndarray, np.ndarray], offsets: np.ndarray) -> None:
    numbers, codes = window
    sums = np.add.reduceat(counts.cells, offsets[:-1])
    if not (sums == codes.shape[1]).all() or not np.array_equal(counts.high, numbers.max(axis=1)):
        raise AssertionError("the window's counts are wrong")


def false_alarms(kind: str, seed: int, windows: int) -> int:
    """Alarms on unchanged windows after a reference of its own, the detector started anew after each."""
    random = np.random.default_rng([seed, 1])
    past = reference(random, kind)
    state, alarms = start(past, BUDGET), 0
    for day in range(windows):
        state, finding = update(state, past, count_window(past, table(draw(random, 500, kind, day=20 + day))))
        if finding.alarm:
            alarms += 1
            state = start(past, BUDGET)
    return alarms


def delays(shift: str, seed: int, runs: int) -> list[int]:
    """Windows from the change to the alarm (1: the first changed one), after five quiet ones; at most 60."""
    random = np.random.default_rng([seed, 2])
    past = reference(random)
    found = []
    for _ in range(runs):
        state = start(past, BUDGET)
        for _ in range(_QUIET_BEFORE):
            state, finding = update(state, past, count_window(past, table(draw(random, 500))))
            state = start(past, BUDGET) if finding.alarm else state
        waited, alarm = 0, False
        while not alarm and waited < _LONGEST:
            state, finding = update(state, past, count_window(past, table(draw(random, 500, shift=shift))))
            waited, alarm = waited + 1, finding.alarm
        found.append(waited)
    return found


def alarm_figure(kind: str, alarms: list[int], windows: int, peer: str) -> Figure:
    """The share of unchanged windows with an alarm."""
    most = (2 if "wander" in kind else 1) / BUDGET
    hits, trials = sum(alarms), windows * len(alarms)
    return Figure(
        section="alarms",
        name=kind,
        value=share(hits, trials),
        peer=peer,
        target=f"<= {most:.0%}",
        reached=hits / trials <= most,
        from_=f"{trials} windows, {len(alarms)} seeds",
    )


def delay_figure(shift: str, found: list[int], peer: str) -> Figure:
    """The mean delay of a change."""
    most = {"category 5%": 2.6, "0.1 sd": 4.0}.get(shift, 1.3)
    mean, error = float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(len(found)))
    return Figure(
        section="delay",
        name=shift,
        value=f"{mean:.2f} +- {1.96 * error:.2f} windows",
        peer=peer,
        target=f"<= {most}",
        reached=mean <= most,
        from_=f"{len(found)} runs",
    )
