"""The electricity market of New South Wales replayed: labels a day late, the label detector, retraining by rule.

A model of four weeks is left alone, retrained when the label detector alarms (on the rows since), or retrained as often at fixed
intervals on as many rows. All three are replayed window by window, a window a day.
"""

from pathlib import Path

import numpy as np
from figure import Figure
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from kept.measures.betting import level_from, start_label_detector, watch_losses

DAY, FIRST, LATE = 48, 28 * 48, 48
# One false alarm in 90 days of labels; after one, a week passes before the next retraining.
BUDGET, COOL = 90 * DAY, 7 * DAY
_RECENT = 28 * DAY
Floats = NDArray[np.float64]


def _fit(rows: Floats, labels: Floats) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(rows, labels)


def by_rule(rows: Floats, labels: Floats) -> tuple[Floats, list[int]]:
    """The losses of a model that is retrained when the label detector alarms, and when that was."""
    model, losses, retrained = _fit(rows[:FIRST], labels[:FIRST]), np.full(labels.size, np.nan), []
    level, last, seen = _level(rows[:FIRST], labels[:FIRST]), FIRST, FIRST
    state = start_label_detector(level, BUDGET)
    for now in range(FIRST, labels.size, DAY):
        known = now - LATE
        if known > seen:
            state, finding = watch_losses(state, losses[seen:known])
            seen = known
            if finding.alarm and now - last >= COOL:
                recent = slice(max(0, known - _RECENT), known)
                model, level = _fit(rows[recent], labels[recent]), _level(rows[recent], labels[recent])
                state, last, seen = start_label_detector(level, BUDGET), now, now
                retrained.append(now)
        window = slice(now, now + DAY)
        losses[window] = model.predict(rows[window]) != labels[window]
    return losses[FIRST:], retrained


def _level(rows: Floats, labels: Floats) -> float:
    """The level from the last quarter, by a model of the first three."""
    cut = 3 * len(rows) // 4
    return level_from(_fit(rows[:cut], labels[:cut]).predict(rows[cut:]) != labels[cut:], tolerance=0.0, errors=0.0)


def at_times(rows: Floats, labels: Floats, times: list[int]) -> Floats:
    """The losses of a model retrained at these times, on as many of the newest labelled rows."""
    model, losses = _fit(rows[:FIRST], labels[:FIRST]), np.full(labels.size, np.nan)
    ends = [*times, labels.size]
    for begin, end in zip([FIRST, *times], ends, strict=True):
        if begin > FIRST:
            recent = slice(max(0, begin - LATE - _RECENT), begin - LATE)
            model = _fit(rows[recent], labels[recent])
        if end > begin:
            losses[begin:end] = model.predict(rows[begin:end]) != labels[begin:end]
    return losses[FIRST:]


def figures(folder: Path) -> list[Figure]:
    """Accuracy over the whole stream, three ways; where the data are missing, that is said."""
    path, name = folder / "elec.csv", "accuracy over the whole stream"
    if not path.exists():
        return [Figure(section="elec", name=name, value="left out: the data are not there")]
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    rows, labels = table[:, :-1], table[:, -1]
    losses, retrained = by_rule(rows, labels)
    step = (labels.size - FIRST) // (len(retrained) + 1)
    fixed = at_times(rows, labels, [FIRST + step * (i + 1) for i in range(len(retrained))])
    alone = at_times(rows, labels, [])
    rule, regular, left = (1 - float(each.mean()) for each in (losses, fixed, alone))
    from_ = f"{losses.size} half-hours, {len(retrained)} retrainings"
    return [
        Figure(
            section="elec",
            name=f"{name}, against the model left alone",
            value=f"{rule:.2%}",
            peer=f"{left:.2%}",
            target="2 points above",
            reached=rule >= left + 0.02,
            from_=from_,
        ),
        Figure(
            section="elec",
            name=f"{name}, against fixed intervals",
            value=f"{rule:.2%}",
            peer=f"{regular:.2%}",
            target="not below",
            reached=rule >= regular,
            from_=from_,
        ),
    ]
