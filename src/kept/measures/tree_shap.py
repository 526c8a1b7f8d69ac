"""Shapley values of sums of trees, exact: what each column adds to the answer for a row.

The game is that of TreeSHAP's path-dependent form (Lundberg, Erion and Lee 2018, "Consistent individualized feature
attribution for tree ensembles", section 3.1, algorithm 1): a column that is not known takes both branches of a
node, in the shares of the training rows that took them. A row's answer is a sum over leaves, and on the way to a leaf a column
either keeps to the way (1), leaves it (0), or is not known (the product z of its shares). So the Shapley value of column i is, with
o = 0 or 1 for the columns of the way, the leaf's value times

    (o_i - z_i) * integral over u from 0 to 1 of the product over the other columns j of z_j (1 - u) + o_j u

(Owen 1972, "Multilinear extensions of games", theorem 5). The integrand is a polynomial whose degree is the number of columns
on the way less one, so that Gauss-Legendre quadrature with half as many points gives it exactly; all its terms are positive, so
nothing is lost to cancellation. That is algorithm 2 of the paper for all leaves and rows at once.
"""

from collections.abc import Iterator

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.measures.arrays import Flags, Floats, Ints

_MOST_AT_ONCE = 1 << 22
_MOST_ROWS = 256
# What is kept of the ways takes about 100 bytes a step: beyond this, sampling is the quicker way, too.
_MOST_STEPS = 4_000_000


class Forest(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Trees as arrays. Places count the inner nodes first, then the leaves; a child stands behind its parent.

    Args:
        left: the place of each inner node's one child.
        right: that of the other.
        column: the column that each inner node asks about.
        value: each leaf's value.
        target: which of the sums each leaf belongs to.
        cover: how many training rows came to each leaf, or how much they weighed.
        columns: how many columns there are.
        targets: how many sums.
    """

    left: Ints
    right: Ints
    column: Ints
    value: Floats
    target: Ints
    cover: Floats
    columns: int
    targets: int


class TreeShap:
    """Explains rows by the ways that they take through the trees.

    Raises:
        Invalid: the arrays are no trees, or the covers no weights; or the ways to all leaves have more than 4 million steps.
    """

    def __init__(self, forest: Forest) -> None:
        _check(forest)
        self._forest = forest
        inner, leaves = len(forest.left), len(forest.value)
        parent = np.full(inner + leaves, -1)
        parent[forest.left] = parent[forest.right] = np.arange(inner)
        leaf, place = _ways(parent, inner)
        node = parent[place]
        cover = np.concatenate([np.bincount(node, weights=forest.cover[leaf], minlength=inner), forest.cover])
        # Where no row came, nothing tells the branches apart.
        ratio = np.divide(cover[place], cover[node], out=np.full(len(place), 0.5), where=cover[node] > 0)
        order = np.lexsort((forest.column[node], leaf))
        leaf, node, ratio = leaf[order], node[order], ratio[order]
        column = forest.column[node]
        first = np.flatnonzero(np.diff(leaf, prepend=-1) | np.diff(column, prepend=-1))
        self._steps, self._first = node, first
        self._left = forest.left[node] == place[order]
        shares, columns = np.multiply.reduceat(ratio, first), column[first]
        lengths = np.bincount(leaf[first], minlength=leaves)
        self._blocks = [_Block(forest, alike, shares, columns, lengths) for alike in _alike(lengths)]
        whole = np.multiply.reduceat(shares, np.concatenate([[0], np.cumsum(lengths)[:-1]]))
        sums = np.bincount(forest.target, weights=forest.value * whole, minlength=forest.targets)
        self.base: Floats = sums.astype(np.float64)
        """What each sum is when nothing is known, shape `(targets,)`."""

    @property
    def cost(self) -> int:
        """Multiplications a row, about."""
        return sum(block.cost for block in self._blocks)

    def explain(self, goes_left: Flags) -> Floats:
        """Contributions, shape `(rows, targets, columns)`: with `base` they add up to each sum.

        Args:
            goes_left: whether a row goes to `left` at an inner node, shape `(inner nodes, rows)`.
        """
        rows, at_once = goes_left.shape[1], max(1, min(_MOST_ROWS, _MOST_AT_ONCE // max(len(self._steps), 1)))
        found = np.zeros((self._forest.targets * self._forest.columns, rows))
        for start in range(0, rows, at_once):
            part = slice(start, start + at_once)
            keeps = np.logical_and.reduceat(goes_left[self._steps, part] == self._left[:, None], self._first, axis=0)
            for block in self._blocks:
                found[block.keys, part] += block.sums(keeps)
        return np.ascontiguousarray(found.T).reshape(rows, self._forest.targets, self._forest.columns)


class _Block:
    """Leaves with equally many columns on their ways."""

    def __init__(self, forest: Forest, leaves: Ints, shares: Floats, columns: Ints, lengths: Ints) -> None:
        size = int(lengths[leaves[0]])
        begin = np.cumsum(lengths) - lengths
        self._places = begin[leaves][:, None] + np.arange(size)
        self._shares = shares[self._places]
        points, weights = np.polynomial.legendre.leggauss((size + 1) // 2)
        self._points = (points + 1) / 2
        self._weights = weights / 2 * forest.value[leaves][:, None]
        key = (forest.target[leaves][:, None] * forest.columns + columns[self._places]).ravel()
        self._order = np.argsort(key, kind="stable")
        ordered = key[self._order]
        self._starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        self.keys = ordered[self._starts]

    @property
    def cost(self) -> int:
        """Multiplications a row, about."""
        return int(self._places.size * len(self._points))

    def sums(self, keeps: Flags) -> Floats:
        """What the columns with these `keys` add to their sums, of shape `(keys, rows)`.

        Args:
            keeps: whether a row keeps to the way at each column of each leaf, shape `(columns of all ways, rows)`.
        """
        kept = keeps[self._places]
        left = self._shares[:, :, None] * (1 - self._points)
        held = left + self._points
        product = np.repeat(self._weights[:, :, None], kept.shape[2], axis=2)
        for place in range(kept.shape[1]):
            product *= np.where(kept[:, place, None, :], held[:, place, :, None], left[:, place, :, None])
        known = np.matmul((1 - self._shares)[:, :, None] / held, product)
        unknown = np.matmul(-1 / (1 - self._points)[None, None, :], product)
        parts = np.asarray(np.where(kept, known, unknown)).reshape(-1, kept.shape[2])
        return np.asarray(np.add.reduceat(parts[self._order], self._starts, axis=0))


def _ways(parent: Ints, inner: int) -> tuple[Ints, Ints]:
    """For every leaf and every node but the root on its way: the leaf, and the place of the node."""
    leaf, place = np.arange(len(parent) - inner), np.arange(inner, len(parent))
    leaves, places = [], []
    steps = 0
    while leaf.size:
        below = parent[place] >= 0
        leaf, place = leaf[below], place[below]
        steps += leaf.size
        if steps > _MOST_STEPS:
            raise Invalid("the trees are too large to be explained by all their leaves", where="forest")
        leaves.append(leaf)
        places.append(place)
        place = parent[place]
    return np.concatenate(leaves), np.concatenate(places)


def _alike(lengths: Ints) -> Iterator[Ints]:
    """The leaves in blocks of equally long ways, none too large to be worked on at once."""
    for length in np.unique(lengths):
        leaves = np.flatnonzero(lengths == length)
        most = max(1, _MOST_AT_ONCE // int(length * (length + 1) // 2 * _MOST_ROWS))
        yield from np.split(leaves, np.arange(most, len(leaves), most))


def _check(forest: Forest) -> None:
    inner, leaves = len(forest.left), len(forest.value)
    below = np.concatenate([forest.left, forest.right])
    sound = (
        len(forest.right) == len(forest.column) == inner > 0
        and len(forest.target) == len(forest.cover) == leaves
        and bool(((below > np.tile(np.arange(inner), 2)) & (below < inner + leaves)).all())
        and len(np.unique(below)) == len(below)
        and np.isin(np.arange(inner, inner + leaves), below).all()
        and bool(((forest.column >= 0) & (forest.column < forest.columns)).all())
        and bool(((forest.target >= 0) & (forest.target < forest.targets)).all())
        and forest.targets <= leaves
    )
    if not sound:
        raise Invalid("the arrays are no trees", where="forest", fix="Package the model again")
    if not (np.isfinite(forest.cover) & (forest.cover >= 0)).all():
        raise Invalid("a leaf's cover is no weight", where="forest", fix="Package the model again")
