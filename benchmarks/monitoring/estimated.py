"""Accuracy estimated under covariate shift, against the truth: the mean chance that a prediction is right.

The model is a logistic regression of a world that is not linear, so that its calibration changes with the traffic.
"""

from dataclasses import dataclass

import numpy as np
from figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from kept.measures.covariates import Covariates
from kept.measures.domain import domain_weights
from kept.measures.estimates import estimate

FEATURES, TRAIN, REFERENCE, ROWS = 6, 10_000, 20_000, 2_000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One window of shifted traffic: points of error of each way."""

    unchanged: float
    cbpe: float
    pape: float
    labels: float


def chance(rows: Floats) -> Floats:
    """The true probability of class 1."""
    bend = (
        1.2 * rows[:, 0] + 0.8 * rows[:, 1] - 0.6 * rows[:, 2] + 0.9 * rows[:, 0] * rows[:, 1] + 0.5 * rows[:, 3] ** 2
    )
    return np.asarray(1 / (1 + np.exp(-1.5 * bend + 0.6)))


def cases(seed: int, shifts: int) -> list[Case]:
    """One reference, and windows whose means and spreads have moved at random."""
    random = np.random.default_rng([seed, 6])
    train = random.standard_normal((TRAIN, FEATURES))
    model = LogisticRegression().fit(train, random.random(TRAIN) < chance(train))
    past = random.standard_normal((REFERENCE, FEATURES))
    labels = (random.random(REFERENCE) < chance(past)).astype(np.float64)
    scores = model.predict_proba(past)[:, 1]
    before = float(((scores >= 0.5) == labels).mean())
    found = []
    for _ in range(shifts):
        move, spread = random.normal(0, 0.3, FEATURES), np.exp(random.normal(0, 0.1, FEATURES))
        now = random.standard_normal((ROWS, FEATURES)) * spread + move
        said = model.predict_proba(now)[:, 1]
        likely = chance(now)
        truth = float(np.where(said >= 0.5, likely, 1 - likely).mean())
        happened = float(((said >= 0.5) == (random.random(ROWS) < likely)).mean())
        cbpe = estimate("accuracy", said, reference=scores, labels=labels, draws=1).value
        pape = estimate("accuracy", said, reference=scores, labels=labels, weights=weights(past, now), draws=1).value
        if cbpe is None or pape is None:
            raise AssertionError("an estimate is not defined")
        found.append(Case(*(100 * abs(each - truth) for each in (before, cbpe, pape, happened))))
    return found


def weights(past: Floats, now: Floats) -> Floats:
    """How much likelier each reference row is today, as the product weighs it."""
    names = tuple(f"x{i}" for i in range(FEATURES))
    sides = [Covariates(columns=names, categorical=(False,) * FEATURES, values=each) for each in (past, now)]
    return np.asarray(domain_weights(*sides))


def figure(found: list[Case]) -> Figure:
    """The mean absolute errors, side by side."""
    pape, cbpe, unchanged, labels = (
        float(np.mean([getattr(each, way) for each in found])) for way in ("pape", "cbpe", "unchanged", "labels")
    )
    return Figure(
        section="estimated",
        name="error of estimated accuracy, 2,000 rows",
        value=f"PAPE {pape:.2f} points",
        peer=f"CBPE {cbpe:.2f}, no change assumed {unchanged:.2f}, the labels themselves {labels:.2f}",
        target="<= 0.6, below CBPE",
        reached=pape <= 0.6 and pape < cbpe,
        from_=f"{len(found)} shifts",
    )
