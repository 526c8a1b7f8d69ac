"""Which columns the evidence comes from, and what happened there."""

from dataclasses import dataclass

import msgspec
import numpy as np

from kept.measures.arrays import Floats
from kept.measures.drift.cells import SHAPE_BINS
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.distances import Distance, distances
from kept.measures.drift.reference import Reference
from kept.measures.drift.statistics import KINDS, Measured, StatisticKind
from kept.measures.drift.weights import statistic_weights

# Of the columns listed as changed, at most this share is expected to be listed wrongly.
FALSE_SHARE = 0.1


class ColumnFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One column's part in a window's evidence.

    `evidence` is the column's e-value (its average R over the windows seen: above 1 speaks for a change) and
    `listed` whether it is among the changed ones by the e-BH procedure. `statistic`, with `detail` (the category, the
    bin or the other column), is what speaks loudest there: `reference` and `current` are its values (mean normal score,
    ratio of variances to the reference, share, or correlation), `effect` their difference in standard deviations of a row.
    """

    name: str
    evidence: float
    listed: bool
    statistic: StatisticKind | None
    detail: str | None
    reference: float | None
    current: float | None
    effect: float | None
    distance: Distance


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a window was judged by. `away` are its standardised statistics, `evidence` each statistic's e-value."""

    reference: Reference
    window: WindowCounts
    measured: Measured
    away: Floats
    evidence: Floats


def rank_columns(seen: Seen) -> tuple[ColumnFinding, ...]:
    """All columns, the likeliest to have changed first."""
    reference, evidence = seen.reference, seen.evidence
    where, grid = reference.layout, reference.grid
    apart = distances(grid, reference.counts, seen.window)
    belongs = [(where.column == place) | (where.second == place) for place in range(len(grid.columns))]
    values = np.array([float(statistic_weights(reference, among) @ evidence) for among in belongs])
    order = np.argsort(-values, kind="stable")
    listed = _listed(values[order])
    found = []
    for rank, place in enumerate(order):
        held = np.flatnonzero(belongs[place] & reference.yard.used & (seen.measured.rows > 0))
        loudest = int(held[np.argmax(evidence[held])]) if held.size else None
        distance = apart[grid.columns[place]]
        found.append(_column(seen, int(place), float(values[place]), rank < listed, loudest, distance))
    return tuple(found)


def _listed(ordered: Floats) -> int:
    """How many of the largest e-values are discoveries: e-BH (Wang and Ramdas 2022, "False discovery rate control with
    e-values"), valid however they hang together.
    """
    ranks = np.arange(1, ordered.size + 1)
    passed = np.flatnonzero(ordered * ranks >= ordered.size / FALSE_SHARE)
    return int(passed[-1]) + 1 if passed.size else 0


def _column(
    seen: Seen, place: int, evidence: float, listed: bool, loudest: int | None, distance: Distance
) -> ColumnFinding:
    reference = seen.reference
    name = reference.grid.columns[place]
    if loudest is None:
        return ColumnFinding(
            name=name,
            evidence=evidence,
            listed=listed,
            statistic=None,
            detail=None,
            reference=None,
            current=None,
            effect=None,
            distance=distance,
        )
    kind = KINDS[reference.layout.kind[loudest]]
    before, now = float(reference.yard.mean[loudest]), float(seen.measured.value[loudest])
    if kind == "pair":
        before, now = float(np.tanh(before)), float(np.tanh(now))
    elif kind == "scale":
        before, now = 1.0, now / float(reference.yard.spread[loudest])
    return ColumnFinding(
        name=name,
        evidence=evidence,
        listed=listed,
        statistic=kind,
        detail=_detail(reference, kind, place, loudest),
        reference=before,
        current=now,
        effect=float(seen.away[loudest] - reference.moment[loudest] / max(reference.precision[loudest], 1e-12)),
        distance=distance,
    )


def _detail(reference: Reference, kind: StatisticKind, place: int, statistic: int) -> str | None:
    grid, where = reference.grid, reference.layout
    part = int(where.part[statistic])
    if kind == "pair":
        pair = (int(where.column[statistic]), int(where.second[statistic]))
        return grid.columns[pair[1] if pair[0] == place else pair[0]]
    if kind == "category":
        categories = grid.categories[place - len(grid.numeric)]
        return categories.names[part] if part < categories.top else "unseen"
    if kind == "shape":
        return f"bin {part + 1} of {SHAPE_BINS}"
    return None
