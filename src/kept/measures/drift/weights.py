"""Weights of the drift statistics: a share for each kind, split evenly within the kind."""

import numpy as np

from kept.measures.arrays import Flags, Floats
from kept.measures.drift.reference import Reference
from kept.measures.drift.statistics import KINDS, StatisticKind

# Categories have many statistics of which a change moves few, and the share of a kind is split among all of them; a change of
# missing values is seen at once whatever its weight, and one of a shape mostly moves the mean or the spread as well.
KIND_WEIGHTS: dict[StatisticKind, float] = {
    "location": 0.25,
    "scale": 0.15,
    "missing": 0.05,
    "shape": 0.05,
    "category": 0.35,
    "pair": 0.15,
}


def statistic_weights(reference: Reference, among: Flags | None = None) -> Floats:
    """The weight of each statistic in use (among these), together 1; kinds that do not occur leave theirs to the others."""
    used = reference.yard.used if among is None else reference.yard.used & among
    kinds = reference.layout.kind[used]
    sizes = np.bincount(kinds, minlength=len(KINDS))
    shares = np.array([KIND_WEIGHTS[kind] for kind in KINDS])
    weights = np.zeros(reference.layout.size)
    weights[used] = (shares / np.maximum(sizes, 1))[kinds]
    total = float(weights.sum())
    return weights / total if total else weights
