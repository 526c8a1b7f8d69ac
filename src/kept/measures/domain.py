"""Importance weights: how much likelier each reference row is in today's traffic, by a classifier that tells the two apart."""

import numpy as np

from kept.measures.arrays import Floats
from kept.measures.covariates import Covariates, design
from kept.measures.estimates import density_ratio

FOLDS = 3

# A logistic regression of as many columns as this holds cannot say much for sure: it is held back in proportion.
_PENALTY = 10.0
_STEPS = 12
_SETTLED = 1e-6


def domain_weights(reference: Covariates, current: Covariates) -> Floats:
    """Weights of the reference rows, mean 1: all 1 where nothing tells them apart.

    Density ratios from a classifier (Bickel, Brueckner and Scheffer 2009, "Discriminative learning under covariate shift"):
    a logistic regression with squares and products, each row judged by one that has not seen it. It suits shifts of means,
    spreads, dependences and shares of categories.
    """
    past, now = design(reference, current)
    if not past.shape[0] or not now.shape[0] or not past.shape[1]:
        return np.ones(past.shape[0])
    rows = np.concatenate([past, now])
    rows = np.concatenate([np.ones((rows.shape[0], 1)), rows], axis=1)
    domain = np.repeat([0.0, 1.0], [past.shape[0], now.shape[0]])
    # Every third row of each side: no chance in it, so that the same rows give the same weights again.
    fold = np.concatenate([np.arange(past.shape[0]) % FOLDS, np.arange(now.shape[0]) % FOLDS])
    told = np.empty(past.shape[0])
    for held_out in range(FOLDS):
        use = fold != held_out
        if len(np.unique(domain[use])) < 2:
            return np.ones(past.shape[0])
        weights = logistic_regression(rows[use], domain[use], penalty=_PENALTY)
        mine = np.flatnonzero(fold[: past.shape[0]] == held_out)
        told[mine] = 1 / (1 + np.exp(-np.clip(rows[mine] @ weights, -30, 30)))
    return density_ratio(told, reference_rows=past.shape[0], current_rows=now.shape[0])


def logistic_regression(rows: Floats, labels: Floats, *, penalty: float) -> Floats:
    """The coefficients that minimise log loss + penalty / 2 |b|^2, that of the first column left free.

    Newton's method (iteratively reweighted least squares), with half steps where the loss would rise.
    """
    coefficients = np.zeros(rows.shape[1])
    ridge = np.full(rows.shape[1], penalty)
    ridge[0] = 1e-9

    def loss(at: Floats) -> float:
        margin = rows @ at
        return float(np.logaddexp(0.0, margin).sum() - labels @ margin + ridge @ at**2 / 2)

    now = loss(coefficients)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ coefficients, -30, 30)))
        slope = rows.T @ (chance - labels) + ridge * coefficients
        bend = (rows * (chance * (1 - chance))[:, None]).T @ rows
        bend[np.diag_indices_from(bend)] += ridge
        step = np.linalg.solve(bend, slope)
        size = 1.0
        while (then := loss(coefficients - size * step)) > now and size > 1e-3:
            size /= 2
        if then >= now:
            break
        coefficients, done = coefficients - size * step, now - then < _SETTLED * abs(now)
        now = then
        if done:
            break
    return coefficients
