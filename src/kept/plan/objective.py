"""Objectives: what a project promises of its model, declared once and held at every stage."""

from math import isfinite
from typing import Literal

import msgspec

from kept.core.errors import Invalid


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """A bound on a metric, over all rows or in each slice of a column."""

    metric: str
    direction: Literal["at_least", "at_most"]
    bound: float
    by: str | None = None
    """Column whose every value (with enough rows) must keep the bound; None for all rows together."""

    @property
    def name(self) -> str:
        """How people read it: `roc_auc at least 0.65 by origin`."""
        words = f"{self.metric} {self.direction.replace('_', ' ')} {self.bound:g}"
        return f"{words} by {self.by}" if self.by else words

    def margin(self, value: float) -> float:
        """How far the value is on the right side of the bound; negative when it fails. In units of the metric."""
        return value - self.bound if self.direction == "at_least" else self.bound - value

    def holds(self, value: float) -> bool:
        """Whether the value keeps the bound. A value that is not a number does not."""
        return self.margin(value) >= 0


def at_least(metric: str, bound: float, *, by: str | None = None) -> Objective:
    """The metric must be this or more."""
    return _objective(metric, "at_least", bound, by)


def at_most(metric: str, bound: float, *, by: str | None = None) -> Objective:
    """The metric must be this or less."""
    return _objective(metric, "at_most", bound, by)


def _objective(metric: str, direction: Literal["at_least", "at_most"], bound: float, by: str | None) -> Objective:
    where = f"{direction}({metric!r}, {bound!r})"
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not isfinite(bound):
        raise Invalid("the bound is not a finite number", where=where, fix=f'Write {direction}("{metric}", 0.65)')
    return Objective(metric=metric, direction=direction, bound=float(bound), by=by)
