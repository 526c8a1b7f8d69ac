"""The slices in which a loss has risen most, with a test that holds for the worst of many.

Westfall and Young 1993, "Resampling-based multiple testing", single-step maxT: which rows are of before and which of now is drawn
anew, and the largest statistic of all slices is compared with the largest ones drawn. The chance that any slice is
named where nothing changed is at most `alpha`, however slices overlap.
"""

import msgspec
import numpy as np

from kept.measures.arrays import Floats
from kept.measures.loss_slices import Slice

LEAST_ROWS = 30
MOST_SLICES = 300
ALPHA = 0.05
_DRAWS = 199


class WorseSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice whose mean loss has risen more than chance moves the worst of all slices. `p` is corrected for them all."""

    parts: tuple[tuple[str, tuple[float, float]], ...]
    loss_before: float
    loss_now: float
    rows_before: int
    rows_now: int
    p: float


def worse_slices(
    before: Floats, now: Floats, slices: list[Slice], *, alpha: float = ALPHA, seed: int = 0, draws: int = _DRAWS
) -> list[WorseSlice]:
    """The slices that lose more now than before, the surest first; none where no slice does at this level."""
    usable = [each for each in slices if min(np.count_nonzero(each.before), np.count_nonzero(each.now)) >= LEAST_ROWS]
    if not usable:
        return []
    losses = np.concatenate([before, now])
    member = np.array([np.concatenate([each.before, each.now]) for each in usable], dtype=np.float64)
    is_now = np.repeat([0.0, 1.0], [before.size, now.size])
    weighted = member * losses
    squares, rows, sums = member @ losses**2, member.sum(axis=1), weighted.sum(axis=1)
    spread = np.maximum(squares / rows - (sums / rows) ** 2, 1e-12)
    random = np.random.default_rng(seed)
    periods = np.column_stack([is_now, *(random.permutation(is_now) for _ in range(draws))])
    inside, lost = member @ periods, weighted @ periods
    outside = rows[:, None] - inside
    rise = lost / np.maximum(inside, 1) - (sums[:, None] - lost) / np.maximum(outside, 1)
    enough = (inside > 0) & (outside > 0)
    error = np.sqrt(spread[:, None] * (1 / np.maximum(inside, 1) + 1 / np.maximum(outside, 1)))
    statistic = np.where(enough, rise / error, 0.0)
    largest = statistic[:, 1:].max(axis=0)
    found = []
    for place in np.argsort(-statistic[:, 0], kind="stable"):
        p = (1 + int(np.count_nonzero(largest >= statistic[place, 0]))) / (draws + 1)
        if p > alpha:
            break
        each = usable[place]
        found.append(
            WorseSlice(
                parts=each.parts,
                loss_before=float(before[each.before].mean()),
                loss_now=float(now[each.now].mean()),
                rows_before=int(np.count_nonzero(each.before)),
                rows_now=int(np.count_nonzero(each.now)),
                p=p,
            )
        )
    return found
