"""The difference of two frames of one dataset: rows by key, columns, values."""

from typing import Any

import msgspec
import polars as pl


class ColumnDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A column in both versions: how many rows changed in it, and its statistics before and after.

    Statistics are `null_rate` and, of numbers, `mean`, `minimum` and `maximum`; of others, `distinct`.
    """

    column: str
    rows_changed: int | None
    before: dict[str, float | None]
    after: dict[str, float | None]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two versions of a dataset.

    With a key, rows are told apart by it. Without one, a row that changed counts as one removed and one added, and
    `rows_changed` is None.
    """

    dataset: str
    before: int
    after: int
    rows_before: int
    rows_after: int
    rows_added: int
    rows_removed: int
    rows_changed: int | None
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    types_changed: dict[str, tuple[str, str]]
    columns: tuple[ColumnDifference, ...]
    """Columns of which some statistic or value differs."""


def rows_of(before: pl.DataFrame, after: pl.DataFrame, key: tuple[str, ...]) -> dict[str, Any]:
    """The counts of rows added, removed and changed; and by column, where there is a key, of changed values."""
    shared = [name for name in after.columns if before.schema.get(name) == after.schema[name]]
    if not key or not set(key) <= set(shared):
        return _without_key(before.select(shared), after.select(shared))
    values = [name for name in shared if name not in key]
    pairs = before.select(shared).join(after.select(shared), on=key, how="inner", suffix="\0after")
    differs = [pl.col(name).ne_missing(pl.col(f"{name}\0after")).alias(name) for name in values]
    changes = pairs.select(differs)
    return {
        "rows_added": after.height - pairs.height,
        "rows_removed": before.height - pairs.height,
        "rows_changed": changes.select(pl.any_horizontal(values).sum()).item() if values else 0,
        "by_column": changes.sum().row(0, named=True) if values else {},
    }


def _without_key(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
    if not before.width:
        return {"rows_added": after.height, "rows_removed": before.height, "rows_changed": None, "by_column": {}}
    counts = [
        frame.hash_rows(seed=1).rename("hash").value_counts(name=name) for frame, name in ((before, "b"), (after, "a"))
    ]
    both = counts[0].join(counts[1], on="hash", how="full", coalesce=True).fill_null(0)
    gain = both["a"].cast(pl.Int64) - both["b"].cast(pl.Int64)
    return {
        "rows_added": int(gain.clip(lower_bound=0).sum()),
        "rows_removed": int(-gain.clip(upper_bound=0).sum()),
        "rows_changed": None,
        "by_column": {},
    }


def statistics(frame: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    """Of each column its `null_rate` and, of numbers, `mean`, `minimum`, `maximum`; of others, `distinct`."""
    facts: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        facts.append((column.null_count() / pl.len()).alias(f"{name}\0null_rate"))
        if dtype.is_numeric() or dtype == pl.Boolean:
            numbers = column.cast(pl.Float64)
            facts += [numbers.mean().alias(f"{name}\0mean"), numbers.min().alias(f"{name}\0minimum")]
            facts.append(numbers.max().alias(f"{name}\0maximum"))
        elif not dtype.is_nested():
            facts.append(column.n_unique().cast(pl.Float64).alias(f"{name}\0distinct"))
    found: dict[str, dict[str, float | None]] = {name: {} for name in frame.columns}
    if not frame.height:
        return found
    for place, value in frame.select(facts).row(0, named=True).items():
        name, statistic = place.rsplit("\0", 1)
        found[name][statistic] = value
    return found


def difference(
    dataset: str, before: pl.DataFrame, after: pl.DataFrame, key: tuple[str, ...], numbers: tuple[int, int]
) -> Difference:
    """What differs from one frame to the other."""
    rows = rows_of(before, after, key)
    changed: dict[str, int] = rows.pop("by_column")
    old, new = statistics(before), statistics(after)
    columns = tuple(
        ColumnDifference(column=name, rows_changed=changed.get(name), before=old[name], after=new[name])
        for name in after.columns
        if name in old and (changed.get(name) or old[name] != new[name])
    )
    return Difference(
        dataset=dataset,
        before=numbers[0],
        after=numbers[1],
        rows_before=before.height,
        rows_after=after.height,
        columns_added=tuple(name for name in after.columns if name not in before.columns),
        columns_removed=tuple(name for name in before.columns if name not in after.columns),
        types_changed={
            name: (str(before.schema[name]), str(dtype))
            for name, dtype in after.schema.items()
            if name in before.columns and before.schema[name] != dtype
        },
        columns=columns,
        **rows,
    )
