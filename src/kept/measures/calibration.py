"""Calibration of predicted probabilities: the expected error, and the reliability curve."""

import msgspec
import numpy as np

from kept.measures.arrays import Array, Floats, mid_ranks

BINS = 15


class ReliabilityCurve(msgspec.Struct, frozen=True, kw_only=True):
    """One entry per bin that holds rows, in order of score."""

    rows: tuple[int, ...]
    mean_score: tuple[float, ...]
    observed: tuple[float, ...]


def reliability_curve(labels: Array, scores: Floats, *, bins: int = BINS) -> ReliabilityCurve:
    """Mean score against the observed share of positives, in bins of equal numbers of rows.

    With scores `(n, k)`: the probability of the likeliest class against the share of rows where it is right.
    """
    happened, claimed = _claims(labels, scores)
    rows, claims, hits = _binned(happened, claimed, bins)
    return ReliabilityCurve(
        rows=tuple(int(n) for n in rows),
        mean_score=tuple(float(v) for v in claims / rows),
        observed=tuple(float(v) for v in hits / rows),
    )


def expected_calibration_error(labels: Array, scores: Floats, *, bins: int = BINS) -> float:
    """The mean, over rows, of the gap between claimed and observed probability of their bin.

    Fifteen bins of equal numbers of rows (Nixon et al. 2019, "Measuring calibration in deep learning": equal widths
    leave most bins empty); a row's bin is set by its mid-rank, so equal scores share a bin. With scores
    `(n, k)`: of the likeliest class (Guo et al. 2017).
    """
    happened, claimed = _claims(labels, scores)
    _, claims, hits = _binned(happened, claimed, bins)
    return float(np.abs(claims - hits).sum() / claimed.size)


def _claims(labels: Array, scores: Floats) -> tuple[Floats, Floats]:
    if scores.ndim == 2:
        return (labels == scores.argmax(axis=1)).astype(np.float64), scores.max(axis=1)
    return labels.astype(np.float64), scores


def _binned(happened: Floats, claimed: Floats, bins: int) -> tuple[Floats, Floats, Floats]:
    if not claimed.size:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    position = (mid_ranks(claimed) - 0.5) / claimed.size
    bin_of = np.minimum((position * bins).astype(np.intp), bins - 1)
    rows = np.bincount(bin_of, minlength=bins).astype(np.float64)
    filled = rows > 0
    claims = np.bincount(bin_of, weights=claimed, minlength=bins).astype(np.float64)
    hits = np.bincount(bin_of, weights=happened, minlength=bins).astype(np.float64)
    return rows[filled], claims[filled], hits[filled]
