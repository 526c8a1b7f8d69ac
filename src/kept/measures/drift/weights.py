"""How much each statistic counts: a share a kind, split evenly among the statistics of the kind."""

import numpy as np

from kept.measures.arrays import Flags, Floats
from kept.measures.drift.reference import Reference
from kept.measures.drift.statistics import KINDS, StatisticKind

KIND_WEIGHTS: dict[StatisticKind, float] = {
    "location": 0.3,
    "scale": 0.1,
    "missing": 0.1,
    "shape": 0.1,
    "category": 0.2,
    "pair": 0.2,
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
