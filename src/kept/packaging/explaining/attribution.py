"""What a model's answers hang on, over many rows: how much each input adds or takes away."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from kept.measures.arrays import Array, Ints
from kept.measures.drift.cycle import UTC, Cycle
from kept.measures.drift.reference import Reference, build_reference
from kept.packaging.rows import Row

if TYPE_CHECKING:
    # What explains is large, and whoever only reads what was kept has no use for it.
    from kept.packaging.explaining.exact import ExactExplainer


class Attributions(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag="kept.attributions.1"):
    """What a model's answers hung on over rows of training: the reference that later ones are held against.

    `reference` is of the absolute contributions, a column for each input; `means` are their means.
    """

    reference: Reference
    means: dict[str, float]


def attribution_table(explainer: "ExactExplainer", rows: Sequence[Row]) -> dict[str, Array]:
    """Of each input the absolute contribution to each row's answer; of several classes, those to all of them together."""
    at_once = explainer.most_rows
    parts = [explainer.contributions(rows[start : start + at_once]) for start in range(0, len(rows), at_once)]
    found = np.abs(np.concatenate(parts)).sum(axis=1)
    return {name: np.ascontiguousarray(found[:, place]) for place, name in enumerate(explainer.features)}


def attributions(
    table: Mapping[str, Array],
    windows: Ints,
    *,
    cycle: Cycle | None = None,
    seasons: Ints | None = None,
    zone: str = UTC,
) -> Attributions:
    """The reference, of rows with the number of the window that each lies in, and its season where a cycle is declared."""
    reference = build_reference(
        table, dict.fromkeys(table, "numeric"), windows, cycle=cycle, seasons=seasons, zone=zone
    )
    return Attributions(reference=reference, means=mean_attributions(table))


def mean_attributions(table: Mapping[str, Array]) -> dict[str, float]:
    """Of each input the mean absolute contribution."""
    return {name: float(values.mean()) for name, values in table.items()}
