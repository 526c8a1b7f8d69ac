"""Counts of events among trials that hang together in clusters, as sums that add up.

Of one entity's requests either all or none are served a wrong value: ten of them are no ten observations. Counts divided by
their design effect are as if of independent trials (Rao and Scott 1992, "A simple method for the analysis of clustered
binary data").
"""

import msgspec
import numpy as np

from kept.measures.arrays import Array


class ClusteredCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Events among trials, and how far they hang together. Parts (windows) add up: each is taken about its own share."""

    events: int = 0
    trials: int = 0
    clustered: float = 0.0
    """The variance of the number of events, told by the clusters of each part."""
    independent: float = 0.0
    """What it would be if no trials hung together."""

    def __add__(self, other: "ClusteredCounts") -> "ClusteredCounts":
        """The counts of both parts."""
        return ClusteredCounts(
            events=self.events + other.events,
            trials=self.trials + other.trials,
            clustered=self.clustered + other.clustered,
            independent=self.independent + other.independent,
        )

    @property
    def design_effect(self) -> float:
        """By how much the share varies more than that of independent trials (Kish 1965); 1 at least."""
        return max(self.clustered / self.independent, 1.0) if self.independent else 1.0

    @property
    def effective(self) -> tuple[float, float]:
        """Events and trials as if each trial were a cluster of its own."""
        return self.events / self.design_effect, self.trials / self.design_effect


def clustered_counts(events: Array, clusters: Array) -> ClusteredCounts:
    """The counts of one part: of each trial whether it is an event, and the number of its cluster.

    Where all are of one cluster, they are taken to be one observation.
    """
    if not events.size:
        return ClusteredCounts()
    _, place = np.unique(clusters, return_inverse=True)
    trials = np.bincount(place)
    happened = np.bincount(place, weights=events.astype(np.float64))
    total, count, groups = float(happened.sum()), int(trials.sum()), trials.size
    share = total / count
    independent = count * share * (1 - share)
    if groups > 1:
        clustered = float(((happened - share * trials) ** 2).sum()) * groups / (groups - 1)
    else:
        # All or none is what one cluster does: half an event more or less stands for what was not seen.
        softened = (total + 0.5) / (count + 1)
        independent = count * softened * (1 - softened) if total else 0.0
        clustered = count * independent
    return ClusteredCounts(events=int(total), trials=count, clustered=clustered, independent=independent)
