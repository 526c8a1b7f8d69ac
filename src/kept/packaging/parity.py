"""The parity check: a packaged model must answer like the original estimator, or it is refused."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.answers import Answers
from kept.packaging.manifest import ParityGroup, ParityReport

TOLERANCE = 1e-9
DATA_GROUP = "training rows"

Features = Any  # a matrix or a list of rows: whatever is cut with [a:b]


def check_parity(
    original: Callable[[Features], Answers],
    packaged: Callable[[Features], Answers],
    groups: Mapping[str, Sequence[Any] | NDArray[Any]],
    *,
    tolerance: float = TOLERANCE,
) -> ParityReport:
    """Asks both for every row and compares.

    What holds: where both answer, they differ by at most `tolerance` (relative for values beyond 1), and are
    both not a number or the same infinity otherwise; what the original refuses, the packaged model refuses;
    and it answers for every row of the group `training rows`. It may refuse more in the other groups.
    """
    results, reasons = [], []
    for name, rows in groups.items():
        found, given = _ask(packaged, rows)
        expected, answered = _ask(original, _pick(rows, given))
        difference = _difference(expected[answered], found[given][answered])
        if difference is None or difference > tolerance:
            size = "a number against none" if difference is None else f"{difference:.3g}"
            reasons.append(f"{name}: the answers differ by {size}")
        if not answered.all():
            reasons.append(f"{name}: it answers {int((~answered).sum())} rows that the original refuses")
        if name == DATA_GROUP and not given.all() and (_ask(original, _pick(rows, ~given))[1]).any():
            reasons.append(f"{name}: it refuses rows that the original answers")
        results.append(ParityGroup(name=name, rows=len(rows), largest_difference=difference))
    return ParityReport(holds=not reasons, tolerance=tolerance, groups=tuple(results), reason="; ".join(reasons))


def _ask(model: Callable[[Features], Answers], rows: Any) -> tuple[Answers, NDArray[np.bool_]]:
    """The answers, and which rows have one. Refused rows are found by halving."""
    count = len(rows)
    try:
        answers = model(rows) if count else np.zeros((0, 1))
    except (ValueError, TypeError, OverflowError, FloatingPointError, Invalid):
        if count == 1:
            return np.full((1, 1), np.nan), np.zeros(1, dtype=bool)
        half = count // 2
        first, first_given = _ask(model, rows[:half])
        second, second_given = _ask(model, rows[half:])
        width = max(first.shape[1], second.shape[1])
        parts = [np.broadcast_to(part, (len(part), width)) if part.shape[1] == 1 else part for part in (first, second)]
        return np.vstack(parts), np.concatenate([first_given, second_given])
    return answers.reshape(count, -1) if count else answers, np.ones(count, dtype=bool)


def _pick(rows: Any, chosen: NDArray[np.bool_]) -> Any:
    if isinstance(rows, np.ndarray):
        return rows[chosen]
    return [row for row, wanted in zip(rows, chosen, strict=True) if wanted]


def _difference(expected: Answers, found: Answers) -> float | None:
    """The largest difference, None when one has a number where the other has not."""
    if not len(expected):
        return 0.0
    if expected.shape != found.shape:
        return None
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))
    left, right = expected[~same], found[~same]
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return None
    return float((np.abs(left - right) / np.maximum(1.0, np.abs(left))).max(initial=0.0))
