"""Grouping runs into repeats (seeds, folds), and pairing the repeats of two groups."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from kept.core.errors import Invalid
from kept.tracking.default_names import is_made_up
from kept.tracking.run import RunData

REPEATS = ("seed", "fold")
"""Parameters, or tags, that tell repeats of one thing apart."""
_FIELDS = ("experiment", "name", "run")

Pair = tuple[str | None, str | None]
"""Seed and fold."""


def keys_of(found: Sequence[RunData], by: Sequence[str]) -> list[str]:
    """What the runs are grouped by: as asked for, else by every parameter that differs but for the repeats' own.

    Where none does, repeats and runs of several experiments are grouped by experiment, others by name.
    """
    if by:
        for one in by:
            kind, _, name = one.partition(".")
            if one not in _FIELDS and (kind not in {"params", "tags"} or not name):
                fix = f"Write params.NAME, tags.NAME, {', '.join(_FIELDS)}"
                raise Invalid(f"{one!r} is nothing that runs can be grouped by", where="by", fix=fix)
        return list(by)
    names = sorted({name for one in found for name in one.params} - set(REPEATS))
    differing = [f"params.{name}" for name in names if len({one.params.get(name) for one in found}) > 1]
    if differing:
        return differing
    pairs = {pair_of(one) for one in found}
    # A name that a person gave may tell things apart that no parameter does.
    repeats = len(pairs) == len(found) and (None, None) not in pairs and all(is_made_up(one.run.name) for one in found)
    return ["experiment"] if repeats or len({one.run.experiment for one in found}) > 1 else ["name"]


def grouped(
    found: Sequence[RunData], by: Sequence[str], experiments: Mapping[str, str], *, asked: bool
) -> dict[str, tuple[dict[str, str | None], list[RunData]]]:
    """Runs by the name of their group, with its key; in the order of the first run of each.

    `experiments`: names by id. `asked`: a person named what they are grouped by.
    """
    groups: dict[str, tuple[dict[str, str | None], list[RunData]]] = {}
    for one in sorted(found, key=lambda one: (one.run.created_at, one.run.id)):
        key = {name: _value(one, name, experiments) for name in by}
        groups.setdefault(_named(key, said=asked), (key, []))[1].append(one)
    return groups


def _named(key: Mapping[str, str | None], *, said: bool) -> str:
    """A group's name; what its runs do not have is `said` when it was asked for."""
    parts = [
        f"{field.partition('.')[2]}={'-' if value is None else value}" if "." in field else str(value)
        for field, value in key.items()
        if said or value is not None
    ]
    return ", ".join(parts) if parts else "none of these parameters"


def pair_of(one: RunData) -> Pair:
    """The seed and the fold of a run, where they are noted."""
    seed, fold = (one.params.get(name, one.run.tags.get(name)) for name in REPEATS)
    # A run of a pipeline has its seed whether or not it is a parameter.
    return (str(one.run.seed) if seed is None and one.run.project else seed), fold


def folds_of(found: Sequence[RunData]) -> int:
    """How many folds the runs go over; 0 where they have none."""
    return len({fold for one in found if (fold := pair_of(one)[1]) is not None})


def values_of(found: Sequence[RunData], metric: str) -> list[float]:
    """The finite latest values of a metric, in the order of the runs."""
    return [value for one in found if (value := _latest(one, metric)) is not None]


def paired(baseline: Sequence[RunData], other: Sequence[RunData], metric: str) -> tuple[list[float], list[float]]:
    """Values of both for each seed and fold that both have; the mean where one has several."""
    one, two = _by_pair(baseline, metric), _by_pair(other, metric)
    both = [pair for pair in one if pair in two]
    return [one[pair] for pair in both], [two[pair] for pair in both]


def _by_pair(found: Sequence[RunData], metric: str) -> dict[Pair, float]:
    values: dict[Pair, list[float]] = {}
    for one in found:
        pair, value = pair_of(one), _latest(one, metric)
        if pair != (None, None) and value is not None:
            values.setdefault(pair, []).append(value)
    return {pair: fmean(several) for pair, several in values.items()}


def _latest(one: RunData, metric: str) -> float | None:
    value = next((point.value for point in one.latest if point.name == metric), None)
    return value if value is not None and math.isfinite(value) else None


def _value(one: RunData, field: str, experiments: Mapping[str, str]) -> str | None:
    kind, _, name = field.partition(".")
    if kind == "params" and name:
        return one.params.get(name)
    if kind == "tags" and name:
        return one.run.tags.get(name)
    if field == "experiment":
        return experiments.get(one.run.experiment, one.run.experiment)
    return one.run.name if field == "name" else one.run.id
