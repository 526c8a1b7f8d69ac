"""Streams replayed: labels a day late, the label detector, retraining by the product's rule.

A model of four weeks is left alone, retrained when the rule says so (`choose`: an alarm of the label detector, what follows it, and
ten days without either), to the mean of models of several stretches of the newest rows, weighted by how they predict the newest week; or retrained as often at
fixed intervals, from each of the stretches with five different beginnings. All are replayed window by window, a window
a day: on the electricity market of New South Wales, and on drawn streams whose rule changes suddenly, or all the time.
"""

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from figure import Figure
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier

from kept.loop.triggers import ALARMS, Situation, choose
from kept.measures.betting import level_from, start_label_detector, watch_losses
from kept.measures.metrics import measure
from kept.monitoring.alert import Alert
from kept.plan.policy import Retrain, decay, every
from kept.training.averaging import mean_of
from kept.training.stretches import Tried, weighted

DAY, FIRST, LATE = 48, 28 * 48, 48
# One false alarm in 90 days of labels; a cool-down of a week, and two trainings that follow that of an alarm. What changes a
# little each day raises no alarm before it has cost something: ten days are the longest without a training.
BUDGET = 90 * DAY
POLICY = Retrain(on=(decay(), every("10d")), cooldown=timedelta(days=7), follow_up=2)
STRETCHES = tuple(days * DAY for days in (7, 14, 28, 56, 112))
BEGINNINGS = (0.0, -0.5, -0.25, 0.25, 0.5)
_RECENT, _VALIDATION = 28 * DAY, 7 * DAY
_BEGIN = datetime(1996, 5, 7, tzinfo=UTC)
Floats = NDArray[np.float64]
Kind = Literal["sudden", "gradual", "recurring", "none"]


def _fit(rows: Floats, labels: Floats) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(rows, labels)


def by_rule(rows: Floats, labels: Floats) -> tuple[Floats, list[int]]:
    """The losses of a model that is retrained when the rule says so, and when that was."""
    model: BaseEstimator = _fit(rows[:FIRST], labels[:FIRST])
    losses = np.full(labels.size, np.nan)
    state, seen = start_label_detector(_first_level(rows[:FIRST], labels[:FIRST]), BUDGET), FIRST
    told, retrained = Situation(now=_moment(FIRST), last_training=_moment(FIRST)), []
    for now in range(FIRST, labels.size, DAY):
        known, at = now - LATE, _moment(now)
        if known > seen:
            state, finding = watch_losses(state, losses[seen:known])
            seen = known
            alerts = told.alerts or ((_alert(at),) if finding.alarm else ())
            told = Situation(
                now=at, last_training=told.last_training, alerts=alerts, changed=told.changed, followed=told.followed
            )
            choice = choose(POLICY, told)
            if choice.action == "retrain":
                model, level = _mean_of_stretches(rows[:known], labels[:known])
                state, seen = start_label_detector(level, BUDGET), now
                retrained.append(now)
                follows = told.followed + (choice.trigger == "follow_up")
                changed, followed = (at, 0) if choice.trigger in ALARMS else (told.changed, follows)
                told = Situation(now=at, last_training=at, changed=changed, followed=followed)
        window = slice(now, now + DAY)
        losses[window] = model.predict(rows[window]) != labels[window]
    return losses[FIRST:], retrained


def _mean_of_stretches(rows: Floats, labels: Floats) -> tuple[BaseEstimator, float]:
    """The mean of a model of each stretch, weighted by their log loss on the newest week before, as a training does.

    And the level of the label detector: what the mean of the models of before loses in that week.
    """
    before, tried, said = labels.size - _VALIDATION, [], []
    for stretch in sorted({min(one, before) for one in STRETCHES}):
        held = slice(before - stretch, before)
        scores = _fit(rows[held], labels[held]).predict_proba(rows[before:])[:, 1]
        loss = measure("log_loss", labels[before:], scores)
        tried.append(Tried(stretch=timedelta(days=stretch / DAY), rows=stretch, loss=loss))
        said.append(scores)
    weights = [one.weight for one in weighted(tuple(tried))]
    wrong = (np.average(said, axis=0, weights=weights) > 0.5) != labels[before:]
    models = [_fit(rows[-one.rows :], labels[-one.rows :]) for one in tried]
    return mean_of(models, weights), level_from(wrong, tolerance=0.0, errors=0.0)


def _moment(row: int) -> datetime:
    return _BEGIN + timedelta(days=1) * row / DAY


def _alert(at: datetime) -> Alert:
    return Alert(
        id="decay",
        project="replay",
        endpoint="replay",
        kind="decay",
        severity="warning",
        title="the loss on labelled predictions has risen",
        evidence={},
        version_id="replay",
        event_time=at,
        at=at,
    )


def _first_level(rows: Floats, labels: Floats) -> float:
    """The level from the last quarter, by a model of the first three."""
    cut = 3 * len(rows) // 4
    return level_from(_fit(rows[:cut], labels[:cut]).predict(rows[cut:]) != labels[cut:], tolerance=0.0, errors=0.0)


def at_times(rows: Floats, labels: Floats, times: list[int], stretch: int = _RECENT) -> Floats:
    """The losses of a model retrained at these times, on so many of the newest labelled rows."""
    model, losses = _fit(rows[:FIRST], labels[:FIRST]), np.full(labels.size, np.nan)
    ends = [*times, labels.size]
    for begin, end in zip([FIRST, *times], ends, strict=True):
        if begin > FIRST:
            recent = slice(max(0, begin - LATE - stretch), begin - LATE)
            model = _fit(rows[recent], labels[recent])
        if end > begin:
            losses[begin:end] = model.predict(rows[begin:end]) != labels[begin:end]
    return losses[FIRST:]


def fixed(rows: Floats, labels: Floats, retrainings: int) -> list[float]:
    """The accuracy with so many retrainings at fixed intervals: by how far back they learn, and by beginning (in intervals)."""
    step = (labels.size - FIRST) / (retrainings + 1)
    found = []
    for stretch, beginning in product(STRETCHES, BEGINNINGS):
        times = [FIRST + int(step * (place + 1 + beginning)) for place in range(retrainings)]
        found.append(1 - float(at_times(rows, labels, times, stretch).mean()))
    return found


def stream(kind: Kind, seed: int = 0, days: int = 500, changes: int = 6) -> tuple[Floats, Floats]:
    """A drawn stream.

    Sudden: its rule is another one after each of some changes, and the same in between. Gradual: on the way from one rule to
    the next all the time. Recurring: one of two. None: one rule.
    """
    random, size = np.random.default_rng([seed, 5]), days * DAY
    rows = random.standard_normal((size, 6))
    rows[:, 0] = np.arange(size) % DAY
    rule = np.searchsorted(np.sort(random.integers(FIRST, size, changes)), np.arange(size), side="right")
    rules = random.standard_normal((changes + 1, 5))
    match kind:
        case "sudden":
            weights = rules[rule]
        case "gradual":
            last, way = np.divmod(np.arange(size) / size * changes, 1.0)
            turn, before = way[:, None] * np.pi / 2, last.astype(np.intp)
            weights = np.cos(turn) * rules[before] + np.sin(turn) * rules[before + 1]
        case "recurring":
            weights = rules[rule % 2]
        case "none":
            weights = rules[:1]
    logits = (rows[:, 1:] * weights).sum(axis=1) + np.sin(2 * np.pi * rows[:, 0] / DAY)
    return rows, (random.random(size) < 1 / (1 + np.exp(-2 * logits))).astype(np.float64)


def replayed(section: str, rows: Floats, labels: Floats) -> list[Figure]:
    """Accuracy over the whole stream, by the rule, left alone, and at fixed intervals."""
    losses, retrained = by_rule(rows, labels)
    rule, left = 1 - float(losses.mean()), 1 - float(at_times(rows, labels, []).mean())
    regular = fixed(rows, labels, len(retrained))
    name, from_ = "accuracy over the whole stream", f"{losses.size} rows, {len(retrained)} retrainings"
    return [
        Figure(
            section=section,
            name=f"{name}, against the model left alone",
            value=f"{rule:.2%}",
            peer=f"{left:.2%}",
            target="2 points above",
            reached=rule >= left + 0.02,
            from_=from_,
        ),
        Figure(
            section=section,
            name=f"{name}, against fixed intervals",
            value=f"{rule:.2%}",
            peer=f"{min(regular):.2%} to {max(regular):.2%}, {len(regular)} ways",
            target="not below any",
            reached=rule >= max(regular),
            from_=from_,
        ),
    ]


def market(folder: Path) -> list[Figure]:
    """The electricity market; where the data are missing, that is said."""
    path = folder / "elec.csv"
    if not path.exists():
        return [Figure(section="elec", name="accuracy over the whole stream", value="left out: the data are not there")]
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    return replayed("elec", table[:, :-1], table[:, -1])


def drawn(kind: Kind, seed: int = 0) -> list[Figure]:
    """A drawn stream."""
    return replayed(kind, *stream(kind, seed))
