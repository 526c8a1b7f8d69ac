"""Probe rows for the parity check: those on which a packaged model most likely differs from the original."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.packaging.encoding import TableEncoder
from kept.packaging.exporters.registry import Exported
from kept.packaging.manifest import ParityReport
from kept.packaging.rows import Matrix
from kept.packaging.signature import Signature

_MOST_DATA = 1000
_MOST_SPLIT_ROWS = 6000
_CROSSED = 1000
_BASES = 3
_PART = 0.382

_EXTREMES = (
    1e300,
    -1e300,
    np.finfo(np.float64).max,
    -np.finfo(np.float64).max,
    np.inf,
    -np.inf,
    3.4e38,
    -3.4e38,
    3.5e38,
)
_TINY = (-0.0, 5e-324, 1e-310, -1e-310, 1e-46)
# Seconds, milliseconds and nanoseconds of our days: float32 cannot tell neighbours apart there.
_EPOCHS = (1_700_000_000.0, 1_700_000_001.0, 1_700_000_000.333, 1_767_225_599.999, 1_700_000_000_123.0, 1.7e18)
_FAR_OUT = frozenset({"extremes", "epoch seconds"})
# Not a place in any dictionary, or a place in a byte that has come round again.
_UNSEEN = (-1.0, 0.5, 1.5, 31.0, 63.0, 64.0, 254.0, 255.0, 256.0, 257.0, 1e5, 2.0**31, 2.0**32 + 1, 1e10)


def matrix_probes(sample: Matrix, encoder: TableEncoder, exported: Exported | None) -> dict[str, Matrix]:
    """Groups of matrix rows by name; each starts from rows of the sample. Deterministic.

    training rows: as they are. thresholds: values on and one ulp beside each split used, alone and crossed.
    missing: NaN in every column, and everywhere. categories: every code, and codes that do not exist.
    extremes: huge, infinite, tiny. epoch seconds: times as numbers, in every column. between rows, for what was converted:
    part of the way from each row to another, where neighbours and the sides of a border change.
    """
    random = np.random.default_rng(0)
    data = sample[random.permutation(len(sample))[:_MOST_DATA]]
    groups = {"training rows": data}
    splits = {} if exported is None else exported.splits
    if splits:
        groups["thresholds"] = _threshold_rows(data, splits, random)
    if exported is not None and exported.converted:
        groups["between rows"] = _between(data, encoder)
    width = sample.shape[1]
    groups["missing"] = np.vstack(
        [_replaced(data, column, [np.nan]) for column in range(width)] + [np.full((1, width), np.nan)]
    )
    if (categories := _category_rows(data, encoder, exported)) is not None:
        groups["categories"] = categories
    for name, values in (("extremes", _EXTREMES + _TINY), ("epoch seconds", _EPOCHS)):
        # An encoder gives nothing but whole codes, and `Runtime.predict` refuses anything else.
        whole = tuple(value for value in values if not np.isfinite(value) or float(value).is_integer())
        by_column = [_replaced(data, n, whole if n in encoder.categorical else values) for n in range(width)]
        groups[name] = np.vstack(by_column)
    return groups


def fails_far_out(report: ParityReport) -> bool:
    """Whether a check failed for values alone that are far larger than those of the data."""
    failed = {
        one.name for one in report.groups if one.largest_difference is None or one.largest_difference > report.tolerance
    }
    return bool(failed) and failed <= _FAR_OUT


def table_probes(rows: list[dict[str, Any]], signature: Signature) -> dict[str, list[dict[str, Any]]]:
    """Groups of rows by field for a model that takes a table: as they are, with each field missing, with unseen categories."""
    bases = rows[:_BASES]
    groups = {
        "training rows": rows[:_MOST_DATA],
        "missing": [row | {name: None} for row in bases for name in signature.names],
    }
    unseen = [
        row | {field.name: "never seen" if not field.categories or isinstance(field.categories[0], str) else -(10**9)}
        for row in bases
        for field in signature.inputs
        if field.kind == "category"
    ]
    if unseen:
        groups["categories"] = unseen
    return groups


def _threshold_rows(data: Matrix, splits: dict[int, NDArray[np.float64]], random: np.random.Generator) -> Matrix:
    share = max(1, _MOST_SPLIT_ROWS // (len(splits) * 5))
    beside = {}
    for column, values in splits.items():
        finite = values[np.isfinite(values)]
        if len(finite):
            chosen = finite if len(finite) <= share else random.choice(finite, share, replace=False)
            beside[column] = _neighbours(chosen)
    alone = []
    for column, values in beside.items():
        rows = data[random.integers(0, len(data), len(values))]
        rows[:, column] = values
        alone.append(rows)
    crossed = data[random.integers(0, len(data), _CROSSED)]
    for column, values in beside.items():
        crossed[:, column] = random.choice(values, _CROSSED)
    return np.vstack([*alone, crossed])


def _between(data: Matrix, encoder: TableEncoder) -> Matrix:
    # Not halfway: which of two neighbours at one distance is the nearer one is a matter of rounding, and of no model.
    middle = data + (np.roll(data, 1, axis=0) - data) * _PART
    # There is nothing between two codes.
    middle[:, encoder.categorical] = data[:, encoder.categorical]
    return middle


def _neighbours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value with its neighbours among the doubles, and the float32 nearest to it."""
    up, down = np.nextafter(values, np.inf), np.nextafter(values, -np.inf)
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32).astype(np.float64)
    rounded = np.where(np.isfinite(rounded), rounded, values)
    return np.concatenate([values, up, down, np.nextafter(up, np.inf), rounded])


def _category_rows(data: Matrix, encoder: TableEncoder, exported: Exported | None) -> Matrix | None:
    coded = set(encoder.categorical)
    looked_up = coded | (set() if exported is None else set(exported.member_columns))
    parts = []
    for column in sorted(looked_up):
        if column in coded:
            size = len(encoder.columns[column].categories)
            values = [*map(float, range(min(size, 300))), float(size), float(size + 1), float(size + 1000)]
        else:
            values = [*np.unique(data[:, column][~np.isnan(data[:, column])])[:300], *_UNSEEN]
        parts.append(_replaced(data, column, values))
    return np.vstack(parts) if parts else None


def _replaced(data: Matrix, column: int, values: Iterable[float]) -> Matrix:
    """Rows of the data with each of the values in a column."""
    wanted = np.array(list(values), dtype=np.float64)
    bases = data[:_BASES]
    rows = np.repeat(bases, len(wanted), axis=0)
    rows[:, column] = np.tile(wanted, len(bases))
    return rows
