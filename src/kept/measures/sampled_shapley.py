"""Shapley values of any model by sampling, against rows that stand for what is not known.

Castro, Gomez and Tejada 2009, "Polynomial calculation of the Shapley value based on sampling"; Strumbelj and Kononenko 2014,
"Explaining prediction models and individual predictions with feature contributions", algorithm 1: a column's
contribution is what the answer changes by when the column takes its value, in the mean over orders of the columns
and over the background rows that the others are filled from. Each order is taken forwards and backwards
(antithetic sampling: Mitchell, Cooper, Frank and Holmes 2022, "Sampling permutations for Shapley value estimation", section 4.2).
"""

from collections.abc import Callable

import msgspec
import numpy as np

from kept.measures.arrays import Flags, Floats, Ints

_NORMAL_95 = 1.959963984540054
_MOST_AT_ONCE = 1 << 20

Ask = Callable[[Flags, Ints], Floats]


class Sampled(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Contributions to each answer, shape `(answers, columns)`; with `base` they add up to the answer of the row itself.

    `half_width` makes a 95% interval about each. `base` is the mean answer of the background rows.
    """

    base: Floats
    contributions: Floats
    half_width: Floats
    orders: int


def sampled_shapley(ask: Ask, columns: int, background: int, *, orders: int, seed: int) -> Sampled:
    """Explains one row.

    Args:
        ask: answers, shape `(n, answers)`, for rows whose columns are partly known: flags of shape `(n, columns)`,
            and which background row fills the others, shape `(n,)`.
        columns: how many columns.
        background: how many background rows; each is used equally often, so that the base has no chance in it.
        orders: how many orders at least: as many times two for each background row as it takes.
        seed: of the orders.
    """
    random = np.random.default_rng(seed)
    pairs = background * max(1, -(-orders // (2 * background)))
    at_once = max(1, _MOST_AT_ONCE // (2 * (columns + 1) * columns))
    steps, firsts = [], []
    for start in range(0, pairs, at_once):
        fills = np.arange(start, min(start + at_once, pairs)) % background
        forwards = random.permuted(np.tile(np.arange(columns), (len(fills), 1)), axis=1)
        # Shape (pairs, 2, columns): at which step each column becomes known.
        known_from = np.argsort(np.stack([forwards, forwards[:, ::-1]], axis=1), axis=2)
        known = np.arange(columns + 1)[:, None] > known_from[:, :, None, :]
        answers = ask(known.reshape(-1, columns), np.repeat(fills, 2 * (columns + 1)))
        answers = answers.reshape(len(fills), 2, columns + 1, -1)
        gains = np.take_along_axis(np.diff(answers, axis=2), known_from[..., None], axis=2)
        steps.append(gains.mean(axis=1))
        firsts.append(answers[:, 0, 0])
    found = np.concatenate(steps)
    error = found.std(axis=0, ddof=1) / np.sqrt(pairs) if pairs > 1 else np.full(found.shape[1:], np.inf)
    return Sampled(
        base=np.concatenate(firsts).mean(axis=0),
        contributions=found.mean(axis=0).T,
        half_width=_NORMAL_95 * error.T,
        orders=2 * pairs,
    )
