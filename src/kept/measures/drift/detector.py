"""The drift detector: a mixture e-detector with a budget of false alarms.

Shin, Ramdas and Rinaldo 2022, "E-detectors: a nonparametric framework for sequential change detection": for each statistic,
residual and size of change, R <- (1 + R) exp(delta r - delta^2 / 2). A weighted average of all R has a mean time to a false
alarm of at least N windows when it alarms at N, however the statistics hang together and though it is looked
at after every window.
"""

from dataclasses import dataclass, field
from functools import cached_property

import msgspec
import numpy as np

from kept.core.errors import Conflict, Invalid
from kept.measures.arrays import Floats
from kept.measures.drift.causes import ColumnFinding, Seen, rank_columns
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.reference import Reference
from kept.measures.drift.residuals import Expected, residuals
from kept.measures.drift.statistics import measure_window, standardise
from kept.measures.drift.weights import statistic_weights

SIZES = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
# What a rise, a fall and 1 add to the logarithms of the R: of rises, and then of falls, of each size.
_GAINS = np.concatenate([np.kron(np.diag([1.0, -1.0]), SIZES), -np.tile(SIZES**2 / 2, (1, 2))])

# How much each R counts, together 1: any such weights keep the promise, as they are fixed before anything is seen. Most on
# the recursive residual, which is the sharper one, and on changes of the size that takes a window or two to see: the
# largest are seen with any weight, the smallest need many windows whatever theirs is.
_RECURSIVE, _FIXED = 0.7, 0.3
_SIZE_WEIGHTS = np.array([0.1, 0.2, 0.4, 0.25, 0.05])
MIXTURE = np.outer([_RECURSIVE, _FIXED], np.tile(_SIZE_WEIGHTS / 2, 2))

# A shift of the mean by this many standard deviations of a row is too small to matter, if it is there to stay.
PRACTICAL = 0.05
_LARGEST = 1e300


class DriftState(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag="kept.drift-state.1"):
    """Where the detector stands after `windows` windows: with it and the reference another worker continues exactly.

    `values` are the R, shape `(statistics, 2, 10)`: recursive and fixed residual, rises then falls of each size.
    `seasons` hold the precision and the moment of each season that has come, where the reference has seasons.
    """

    grid: str
    budget: float
    practical: float
    windows: int
    values: Floats
    precision: Floats
    moment: Floats
    seasons: dict[int, tuple[Floats, Floats]] = {}


@dataclass(frozen=True, kw_only=True)
class DriftFinding:
    """What one window showed. It is an alarm when `value` has reached `budget`.

    Without a change, the mean time from a start to an alarm is at least `budget` windows.
    `assumes_independence` says that the reference had too few windows to know how much they vary, `independent_windows` how many
    it has that tell: fewer where each is like the one before.
    """

    alarm: bool
    value: float
    budget: float
    windows: int
    rows: int
    assumes_independence: bool
    independent_windows: float
    seen: Seen = field(repr=False, compare=False)

    @cached_property
    def columns(self) -> tuple[ColumnFinding, ...]:
        """All columns, the likeliest cause first. Ranking them costs more than judging, so it waits until asked for."""
        return rank_columns(self.seen)


def start(reference: Reference, budget: float, *, practical: float = PRACTICAL) -> DriftState:
    """A detector that has seen nothing, with at most one false alarm in `budget` windows.

    The budget is days times windows a day. Start anew after acting on an alarm, and with each new reference.
    `practical` is the lasting shift, in standard deviations, that does not matter.
    """
    if not budget >= 1 or practical < 0:
        raise Invalid(f"budget {budget}, practical {practical}", where="drift", fix="budget >= 1, practical >= 0")
    return DriftState(
        grid=reference.grid.digest,
        budget=float(budget),
        practical=float(practical),
        windows=0,
        values=np.zeros((reference.layout.size, 2, 2 * SIZES.size)),
        precision=reference.precision,
        moment=reference.moment,
    )


def update(
    state: DriftState, reference: Reference, window: WindowCounts, season: int | None = None
) -> tuple[DriftState, DriftFinding]:
    """The state after one more window, and what it showed. Each window is given once, when it is complete.

    A window of a season is held against the windows of its own season, in the reference and since; all seasons add to the same
    evidence, with the weights of the whole reference. The reference must have the season.
    """
    own = reference.of_season(season)
    if own is None:
        raise Conflict(f"the reference has no season {season}", where="drift", fix="Leave the window out")
    if season is None:
        return _update(state, own, window, statistic_weights(own))
    precision, moment = state.seasons.get(season, (own.precision, own.moment))
    before = msgspec.structs.replace(state, precision=precision, moment=moment)
    after, finding = _update(before, own, window, statistic_weights(reference))
    seasons = {**state.seasons, season: (after.precision, after.moment)}
    whole = msgspec.structs.replace(after, precision=state.precision, moment=state.moment, seasons=seasons)
    return whole, finding


def _update(
    state: DriftState, reference: Reference, window: WindowCounts, weights: Floats
) -> tuple[DriftState, DriftFinding]:
    if not state.grid == reference.grid.digest == window.grid:
        raise Conflict("state, reference and window do not belong together", where="drift", fix="Start a new detector")
    measured = measure_window(reference.grid, window)
    away = standardise(reference.grid, reference.yard, measured)
    rows = reference.known_rows(measured)
    known = rows > 0
    values = _grow(state, reference, away, rows)
    weight = np.divide(
        1.0, 1.0 / np.maximum(rows, 1e-12) + reference.variation.lasting, where=known, out=np.zeros(known.size)
    )
    after = msgspec.structs.replace(
        state,
        windows=state.windows + 1,
        values=values,
        precision=state.precision + weight,
        moment=state.moment + weight * away,
    )
    evidence = np.tensordot(values, MIXTURE, axes=2)
    value = float(weights @ evidence)
    finding = DriftFinding(
        alarm=value >= state.budget,
        value=value,
        budget=state.budget,
        windows=after.windows,
        rows=window.rows,
        assumes_independence=reference.assumes_independence,
        independent_windows=reference.independent_windows,
        seen=Seen(reference=reference, window=window, measured=measured, away=away, evidence=evidence / after.windows),
    )
    return after, finding


def _grow(state: DriftState, reference: Reference, away: Floats, rows: Floats) -> Floats:
    """All R after a window; those of statistics it says nothing of stay as they are."""
    held = np.maximum(reference.precision, 1e-12)
    so_far = np.maximum(state.precision, 1e-12)
    recursive = Expected(mean=state.moment / so_far, precision=so_far, tolerance=np.zeros(held.size))
    tolerance = np.maximum(state.practical, reference.safe_errors / np.sqrt(held))
    fixed = Expected(mean=reference.moment / held, precision=None, tolerance=tolerance)
    found = [residuals(reference, away, rows, expected) for expected in (recursive, fixed)]
    moved = np.array([(each.rise, each.fall, np.ones(held.size)) for each in found]).transpose(2, 0, 1)
    gains = (moved.reshape(-1, 3) @ _GAINS).reshape(state.values.shape)
    # An alarm that nobody acted on goes on growing: beyond the largest number it is as sure as it can be.
    with np.errstate(over="ignore"):
        grown = np.exp(gains, out=gains)
        grown *= 1 + state.values
    np.minimum(grown, _LARGEST, out=grown)
    unknown = rows == 0
    grown[unknown] = state.values[unknown]
    return np.asarray(grown)
