"""The result of comparing runs: groups of repeats, each metric in each, and differences from a baseline."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kept.tracking.filtering import Term

Better = Literal["higher", "lower"]
Verdict = Literal["better", "worse", "higher", "lower", "undecided", "no interval"]


class CompareRuns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which runs, and how they are grouped.

    Runs that differ only by seed or fold are repeats of one thing. Without `by`, each combination of the parameters that
    differ, but for `seed` and `fold`, is a group.
    """

    runs: list[str] = []
    """Ids; without them, all that were not stopped by an error of the experiments and the filter."""
    experiments: list[str] = []
    """Names or ids."""
    filter: str | list[Term] = ""
    by: list[str] = []
    """`params.NAME`, `tags.NAME`, `experiment`, `name` or `run`."""
    metrics: list[str] = []
    """Without them, those that at least half of the runs have."""
    baseline: str = ""
    """The name of a group, or a part of one; the older of two groups by default."""
    level: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95
    higher_is_better: list[str] = []
    lower_is_better: list[str] = []


class ComparedMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric, and which way is better where that is known."""

    name: str
    better: Better | None


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """A metric in a group: its mean over the group's repeats, with the interval where there are two or more."""

    metric: str
    mean: float | None
    low: float | None
    high: float | None
    deviation: float | None
    """The standard deviation of the values."""
    repeats: int
    without: int
    """Runs of the group that have no finite value of it."""
    method: str
    values: list[float]
    said: str


class RunGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that are repeats of one thing."""

    name: str
    key: dict[str, str | None]
    runs: list[str]
    metrics: list[Repeated]


class GroupDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of a group minus that of the baseline.

    The interval is this difference's own; the verdict is by the p that is adjusted for all differences that were asked for.
    """

    group: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    pairs: int
    """How many seeds or folds the two have in common; 0 where they were not paired."""
    method: str
    p: float | None
    adjusted_p: float | None
    verdict: Verdict
    said: str


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Groups in the order they were begun, and their differences from the baseline, if there is one."""

    by: list[str]
    level: float
    metrics: list[ComparedMetric]
    groups: list[RunGroup]
    baseline: str | None
    differences: list[GroupDifference]
    notes: list[str]
    """What a reader must know of it."""
