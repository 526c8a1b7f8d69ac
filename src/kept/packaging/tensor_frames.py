"""Columns of a data frame that hold tensors (lists within lists), as arrays and as the few numbers that are watched of them.

Training's side: serving never imports this module.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from kept.packaging.tensors import Array

NORM = "__norm"
"""Ending of the name of a tensor's Euclidean norm, as the table of predictions has it."""


def is_tensor(series: pl.Series) -> bool:
    """Whether a column holds tensors of one dimension or more."""
    return isinstance(series.dtype, pl.List | pl.Array)


def sample_of(frame: pl.DataFrame, names: Sequence[str], most: int) -> dict[str, Array]:
    """The first rows of some columns as batches; of columns whose tensors differ in shape those rows that are like the first."""
    columns = {name: list(map(np.asarray, frame.get_column(name).head(most).to_list())) for name in names}
    like = {name: arrays[0].shape for name, arrays in columns.items()}
    rows = [place for place in range(min(most, frame.height)) if all(columns[n][place].shape == like[n] for n in names)]
    return {name: np.stack([arrays[row] for row in rows]) for name, arrays in columns.items()}


def with_numbers(
    frame: pl.DataFrame, names: Sequence[str], *, norm_only: bool = False
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The frame with numbers in the place of the tensors among some columns, and the names of the columns then.

    A tensor `image` becomes `image__norm` and, without `norm_only`, `image__mean` and `image__deviation`.
    """
    made: list[pl.Series] = []
    found: list[str] = []
    for name in names:
        series = frame.get_column(name)
        if not is_tensor(series):
            found.append(name)
            continue
        numbers = [_numbers(value) for value in series.to_list()]
        for place, ending in enumerate((NORM,) if norm_only else (NORM, "__mean", "__deviation")):
            made.append(pl.Series(f"{name}{ending}", [one[place] for one in numbers], pl.Float64))
            found.append(f"{name}{ending}")
    return frame.with_columns(made), tuple(found)


def _numbers(value: list[object] | None) -> tuple[float | None, float | None, float | None]:
    if value is None:
        return None, None, None
    array = np.asarray(value, dtype=np.float64)
    return float(np.linalg.norm(array)), float(array.mean()), float(array.std())
