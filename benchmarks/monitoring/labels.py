"""The label detector: an error of 10% that rises to 15%."""

import numpy as np
from figure import Figure

from kept.measures.betting import start_label_detector, watch_losses

LEVEL, RAISED = 0.10, 0.15
# One false alarm in 50,000 labels: 0.2 in 10,000.
BUDGET, STREAM = 50_000, 10_000


def false_alarms(seed: int, streams: int) -> int:
    """Alarms in streams of 10,000 labels at the level itself, the detector started anew after each."""
    random, alarms = np.random.default_rng([seed, 3]), 0
    for _ in range(streams):
        losses = (random.random(STREAM) < LEVEL).astype(np.float64)
        while losses.size:
            _, finding = watch_losses(start_label_detector(LEVEL, BUDGET), losses)
            if finding.alarm_at is None:
                break
            alarms += 1
            losses = losses[finding.alarm_at + 1 :]
    return alarms


def delays(seed: int, runs: int) -> list[int]:
    """Labels from the rise to the alarm, where 1,000 labels at the level came before; at most 10,000."""
    random, found = np.random.default_rng([seed, 4]), []
    for _ in range(runs):
        state, finding = watch_losses(start_label_detector(LEVEL, BUDGET), random.random(1_000) < LEVEL)
        if finding.alarm:
            state = start_label_detector(LEVEL, BUDGET)
        _, finding = watch_losses(state, random.random(STREAM) < RAISED)
        found.append(STREAM if finding.alarm_at is None else finding.alarm_at + 1)
    return found


def figures(alarms: list[int], streams: int, found: list[int]) -> list[Figure]:
    """False alarms in 10,000 labels, and the delay at them."""
    rate = sum(alarms) / (streams * len(alarms))
    middle = float(np.median(found))
    return [
        Figure(
            section="labels",
            name="false alarms in 10,000 labels",
            value=f"{rate:.2f}",
            target="<= 0.2",
            reached=rate <= 0.2,
            from_=f"{streams * len(alarms)} streams",
        ),
        Figure(
            section="labels",
            name="delay, error 10% to 15%",
            value=f"median {middle:.0f}, mean {np.mean(found):.0f}",
            target="<= 500 labels (median)",
            reached=middle <= 500,
            from_=f"{len(found)} runs",
        ),
    ]
