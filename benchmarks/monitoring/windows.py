"""Windows of 40 numeric and 10 categorical columns, unchanged or with a known change. Numpy alone: peers use it too."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMERIC, CATEGORICAL, LEVELS = 40, 10, 8
ROWS, REFERENCE_WINDOWS = 500, 20
CHANGED = 5
KINDS = ("quiet", "heavy tails", "ties", "zero-inflated", "many missing", "correlated", "wander", "weekly wander")
SHIFTS = ("0.25 sd", "scale x1.15", "2% missing", "correlation only", "category 5%", "0.1 sd")

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
# Four pairs of the columns hang together in every window: what a change of correlation alone can change.
_TIED = 4
_TIE = 0.5
_WANDER = 0.05


def names() -> tuple[list[str], list[str]]:
    """The numeric and the categorical columns."""
    return [f"x{i}" for i in range(NUMERIC)], [f"c{i}" for i in range(CATEGORICAL)]


def draw(
    random: np.random.Generator, rows: int, kind: str = "quiet", *, day: int = 0, shift: str = ""
) -> tuple[Floats, Codes]:
    """One window: numbers `(40, rows)` and category codes `(10, rows)`.

    A shift of a mean, a scale or missing values is in 5 of the 40 numeric columns; that of a category moves 5% of the
    rows of two columns from their first to their fourth value; that of correlation unties four pairs of columns.
    """
    tie = 0.0 if shift == "correlation only" else _TIE
    normal = random.standard_normal((NUMERIC, rows))
    normal[1 : 2 * _TIED : 2] = tie * normal[0 : 2 * _TIED : 2] + np.sqrt(1 - tie**2) * normal[1 : 2 * _TIED : 2]
    if kind == "correlated":
        normal = 0.8 * normal + 0.6 * random.standard_normal(rows)
    numbers = _shaped(random, normal, kind)
    if "wander" in kind:
        numbers += _WANDER * random.standard_normal((NUMERIC, 1))
    if kind == "weekly wander":
        numbers += _WANDER * np.sin(2 * np.pi * (day % 7) / 7 + np.arange(NUMERIC))[:, None]
    shares = np.arange(LEVELS, 0, -1) ** 1.5
    if "wander" in kind:
        shares = shares * np.exp(_WANDER * random.standard_normal((CATEGORICAL, LEVELS)))
    edges = np.cumsum(np.broadcast_to(shares, (CATEGORICAL, LEVELS)), axis=1)
    edges /= edges[:, -1:]
    uniform = random.random((CATEGORICAL, rows))
    codes = np.stack([np.searchsorted(edge[:-1], row) for edge, row in zip(edges, uniform, strict=True)])
    _change(random, numbers, codes, shift)
    return numbers, codes.astype(np.int64)


def _shaped(random: np.random.Generator, normal: Floats, kind: str) -> Floats:
    match kind:
        case "heavy tails":
            return normal / np.sqrt(random.chisquare(2, normal.shape) / 2)
        case "ties":
            return np.round(normal)
        case "zero-inflated":
            return np.where(random.random(normal.shape) < 0.9, 0.0, np.exp(normal))
        case "many missing":
            return np.where(random.random(normal.shape) < 0.4, np.nan, normal)
        case _:
            return normal


def _change(random: np.random.Generator, numbers: Floats, codes: Codes, shift: str) -> None:
    some = numbers[2 * _TIED : 2 * _TIED + CHANGED]
    match shift:
        case "0.25 sd":
            some += 0.25
        case "0.1 sd":
            some += 0.1
        case "scale x1.15":
            some *= 1.15
        case "2% missing":
            some[random.random(some.shape) < 0.02] = np.nan
        case "category 5%":
            for column in codes[:2]:
                first = np.flatnonzero(column == 0)
                column[random.choice(first, min(first.size, round(0.05 * column.size)), replace=False)] = 3


def text(codes: Codes) -> Any:
    """Codes as names."""
    return np.array([f"v{i}" for i in range(LEVELS)], dtype=object)[codes]
