"""The windows as Kept takes them."""

import numpy as np
from windows import LEVELS, REFERENCE_WINDOWS, ROWS, Codes, Floats, draw, names

from kept.measures.arrays import Array
from kept.measures.drift.categories import Coded
from kept.measures.drift.grid import Kind
from kept.measures.drift.reference import Reference, build_reference

_CATEGORIES = tuple(f"v{i}" for i in range(LEVELS))


def kinds() -> dict[str, Kind]:
    """The kind of each column."""
    numeric, categorical = names()
    return {**dict.fromkeys(numeric, "numeric"), **dict.fromkeys(categorical, "categorical")}


def table(window: tuple[Floats, Codes]) -> dict[str, Array | Coded]:
    """A window's columns by name."""
    numeric, categorical = names()
    numbers, codes = window
    found: dict[str, Array | Coded] = dict(zip(numeric, numbers, strict=True))
    return found | {
        name: Coded(codes=row, categories=_CATEGORIES) for name, row in zip(categorical, codes, strict=True)
    }


def reference(random: np.random.Generator, kind: str = "quiet", rows: int = ROWS) -> Reference:
    """A reference of 20 windows."""
    drawn = [draw(random, rows, kind, day=day) for day in range(REFERENCE_WINDOWS)]
    whole = (np.concatenate([each[0] for each in drawn], axis=1), np.concatenate([each[1] for each in drawn], axis=1))
    return build_reference(table(whole), kinds(), np.repeat(np.arange(REFERENCE_WINDOWS), rows))
