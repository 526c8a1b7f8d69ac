"""Why a loss has risen: a decomposition into parts that add up to the rise.

By column: Kitagawa 1955, "Components of a difference between two rates": slices took another share of the rows (mix), or lose
more than they did (within). By shifts of columns: Shapley values of the loss that reference rows have once
weighted to the shift of some columns only (Zhang et al. 2023, "Why did the model fail?: Attributing model performance
changes to distribution shifts"); what no shift explains is a change of outcomes.
"""

from collections.abc import Sequence
from itertools import combinations
from math import factorial

import msgspec
import numpy as np

from kept.measures.arrays import Floats, Ints
from kept.measures.covariates import Covariates
from kept.measures.domain import domain_weights
from kept.measures.loss_slices import Cut

# Shapley values take a fit for each set of players: 32.
PLAYERS = 5
_MOST_ROWS = 1_500


class SlicePart(msgspec.Struct, frozen=True, kw_only=True):
    """One slice's part in the rise. All `mix` and `within` of a column add up to the rise."""

    bounds: tuple[float, float]
    share_before: float
    share_now: float
    loss_before: float | None
    loss_now: float | None
    mix: float
    within: float


class ColumnPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one column's slices tell of the rise: `mix` + `within` is the rise.

    `explained` is what this column says beyond the rise itself: that its mix changed towards slices that lose more, and
    how unevenly the rest is spread over its slices.
    """

    column: str
    mix: float
    within: float
    explained: float
    slices: tuple[SlicePart, ...]


class ShiftPart(msgspec.Struct, frozen=True, kw_only=True):
    """The part of some columns' shift in the rise: its Shapley value."""

    columns: tuple[str, ...]
    part: float


class Shifts(msgspec.Struct, frozen=True, kw_only=True):
    """The rise in parts: those of `shifts` and `outcomes`, which no shift of columns explains, add up to it."""

    rise: float
    shifts: tuple[ShiftPart, ...]
    outcomes: float


def by_column(before: Floats, now: Floats, cuts: Sequence[tuple[Cut, Cut]]) -> list[ColumnPart]:
    """Each column's decomposition of mean(now) - mean(before), those that explain most first.

    A slice that is empty on one side is taken to lose there what it does on the other, so that it counts as mix.
    """
    found = [_column(before, now, *cut) for cut in cuts] if before.size and now.size else []
    return sorted(found, key=lambda one: -one.explained)


def by_shift(
    losses: Floats, before: Covariates, now: Covariates, loss_now: float, players: Sequence[Sequence[str]]
) -> Shifts:
    """The rise of the mean loss over the shifts of some groups of columns, and what is left for outcomes.

    Args:
        losses: of the labelled rows before.
        before: their covariates.
        now: covariates of rows since.
        loss_now: the mean loss of labelled rows since.
        players: groups of columns, at most five: the cost is a fit for each set of them.
    """
    players = [tuple(each) for each in players][:PLAYERS]
    step, stride = -(-losses.size // _MOST_ROWS), -(-now.rows // _MOST_ROWS)
    some, sample = before.take(slice(None, None, step)), now.take(slice(None, None, stride))
    thinned, whole = losses[::step], float(losses.mean())
    level = float(thinned.mean())
    worth: dict[frozenset[int], float] = {frozenset(): 0.0}
    for size in range(1, len(players) + 1):
        for chosen in combinations(range(len(players)), size):
            names = {name for place in chosen for name in players[place]}
            weights = domain_weights(_only(some, names), _only(sample, names))
            worth[frozenset(chosen)] = float(weights @ thinned) / thinned.size - level
    parts = [
        ShiftPart(columns=player, part=_shapley(place, len(players), worth)) for place, player in enumerate(players)
    ]
    rise = loss_now - whole
    return Shifts(
        rise=rise,
        shifts=tuple(sorted(parts, key=lambda one: -abs(one.part))),
        outcomes=rise - sum(one.part for one in parts),
    )


def _column(before: Floats, now: Floats, was: Cut, is_: Cut) -> ColumnPart:
    size = len(was.bounds)
    rows_before, rows_now = np.bincount(was.place, minlength=size), np.bincount(is_.place, minlength=size)
    share_before, share_now = rows_before / before.size, rows_now / now.size
    loss_before = _means(was, before, rows_before, size)
    loss_now = _means(is_, now, rows_now, size)
    held_before = np.where(rows_before > 0, loss_before, loss_now)
    held_now = np.where(rows_now > 0, loss_now, loss_before)
    seen = (rows_before + rows_now) > 0
    held_before, held_now = np.where(seen, held_before, 0.0), np.where(seen, held_now, 0.0)
    middle = (held_before + held_now) / 2
    # Shares add up to 1 on both sides, so that any level may be taken off: what counts is to lose more than most.
    level = float((share_before + share_now) @ middle) / 2
    mix = (share_now - share_before) * (middle - level)
    share = (share_before + share_now) / 2
    within = share * (held_now - held_before)
    uneven = float(np.abs(within - share * within.sum()).sum()) / 2
    parts = [
        SlicePart(
            bounds=bound,
            share_before=float(share_before[place]),
            share_now=float(share_now[place]),
            loss_before=float(loss_before[place]) if rows_before[place] else None,
            loss_now=float(loss_now[place]) if rows_now[place] else None,
            mix=float(mix[place]),
            within=float(within[place]),
        )
        for place, bound in enumerate(was.bounds)
        if seen[place]
    ]
    return ColumnPart(
        column=was.column,
        mix=float(mix.sum()),
        within=float(within.sum()),
        explained=max(float(mix.sum()), 0.0) + uneven,
        slices=tuple(sorted(parts, key=lambda one: -(one.mix + one.within))),
    )


def _means(cut: Cut, losses: Floats, rows: Ints, size: int) -> Floats:
    sums = np.bincount(cut.place, weights=losses, minlength=size)
    return np.asarray(np.divide(sums, rows, out=np.full(size, np.nan), where=rows > 0))


def _only(covariates: Covariates, names: set[str]) -> Covariates:
    places = [place for place, name in enumerate(covariates.columns) if name in names]
    return Covariates(
        columns=tuple(covariates.columns[place] for place in places),
        categorical=tuple(covariates.categorical[place] for place in places),
        values=covariates.values[:, places],
    )


def _shapley(player: int, players: int, worth: dict[frozenset[int], float]) -> float:
    """The mean of what a player adds, over all orders in which players may come (Shapley 1953)."""
    total = 0.0
    others = [other for other in range(players) if other != player]
    for size in range(players):
        orders = factorial(size) * factorial(players - size - 1) / factorial(players)
        for chosen in combinations(others, size):
            total += orders * (worth[frozenset((*chosen, player))] - worth[frozenset(chosen)])
    return total
