"""Splitting rows into training, validation and test."""

from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.plan.split import GroupSplit, RandomSplit, Split, StratifiedSplit, TimeSplit

TRAIN, VALIDATION, TEST = "train", "validation", "test"


def split_rows(frame: pl.DataFrame, rule: Split, *, event_time: str | None, label: str, seed: int) -> pl.Series:
    """The part of each row (`train`, `validation`, `test`), in the rows' own order.

    Args:
        frame: the rows.
        rule: how they are divided.
        event_time: the column that a split by time goes by.
        label: the column that a stratified split goes by.
        seed: fixes every draw: the same rows and seed give the same parts.

    Raises:
        Invalid: a part would be empty, or the rule names what is not there.
    """
    match rule:
        case TimeSplit():
            parts = _by_time(frame, rule, event_time)
        case RandomSplit():
            parts = _by_rank(np.random.default_rng(seed).permutation(frame.height) / max(frame.height, 1), rule)
        case GroupSplit():
            parts = _by_group(frame, rule, seed)
        case StratifiedSplit():
            parts = _stratified(frame, rule, label, seed)
    for part in (TRAIN, VALIDATION, TEST):
        if not (parts == part).any():
            fix = "Give more rows, or change project.split(...)"
            raise Invalid(f"no row of {frame.height} is left for {part}", where="split", fix=fix)
    return pl.Series("part", parts, dtype=pl.String)


def _by_time(frame: pl.DataFrame, rule: TimeSplit, event_time: str | None) -> NDArray[np.object_]:
    if event_time is None:
        fix = "Give the dataset event_time=..., or write project.split(kept.stratified())"
        raise Invalid("the dataset has no event time", where="split by time", fix=fix)
    moments = frame.get_column(event_time).to_physical().to_numpy().astype(np.int64)
    if not len(moments):
        return np.empty(0, dtype=object)
    test_from = _start(moments, rule.test)
    before = moments[moments < test_from]
    # A share is one of all rows, whatever is left of them.
    length = rule.validation
    if not isinstance(length, timedelta):
        length = min(1.0, length * len(moments) / max(len(before), 1))
    validation_from = _start(before, length) if len(before) else test_from
    parts = np.full(len(moments), TRAIN, dtype=object)
    parts[moments >= validation_from] = VALIDATION
    parts[moments >= test_from] = TEST
    return parts


def _start(moments: NDArray[np.int64], length: timedelta | float) -> int:
    if isinstance(length, timedelta):
        return int(moments.max()) - length // timedelta(microseconds=1)
    # Rows of one moment stay together, on the later side.
    return int(np.quantile(moments, 1 - length, method="lower"))


def _by_rank(rank: NDArray[np.float64], rule: RandomSplit | GroupSplit | StratifiedSplit) -> NDArray[np.object_]:
    parts = np.full(len(rank), TRAIN, dtype=object)
    parts[rank >= 1 - rule.test - rule.validation] = VALIDATION
    parts[rank >= 1 - rule.test] = TEST
    return parts


def _by_group(frame: pl.DataFrame, rule: GroupSplit, seed: int) -> NDArray[np.object_]:
    if rule.by not in frame.columns:
        raise Invalid(f"there is no column {rule.by!r}", where="split by group", fix="Name a column of the dataset")
    groups = frame.get_column(rule.by).cast(pl.String).fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1
    sizes = np.bincount(groups)
    order = np.random.default_rng(seed).permutation(len(sizes))
    # A group's place is where its middle row falls when groups are laid one after another.
    place = np.empty(len(sizes))
    place[order] = (np.cumsum(sizes[order]) - sizes[order] / 2) / max(len(groups), 1)
    return _by_rank(place[groups], rule)


def _stratified(frame: pl.DataFrame, rule: StratifiedSplit, label: str, seed: int) -> NDArray[np.object_]:
    values = frame.get_column(label)
    if values.dtype.is_float():
        # A number has no classes: its tenths stand for them.
        values = values.rank("ordinal") * 10 // (len(values) + 1)
    strata = values.cast(pl.String).fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1
    draw = np.random.default_rng(seed).permutation(len(strata))
    rank = np.empty(len(strata))
    for stratum in range(int(strata.max(initial=-1)) + 1):
        rows = draw[strata[draw] == stratum]
        rank[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return _by_rank(rank, rule)
