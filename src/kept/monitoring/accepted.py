"""The accepted period: a champion's first windows of serving, as what its later ones are held against.

Its counts are taken on the grid of the training rows, from the log, once there are enough windows; the reference is kept by
its digest, so that the detector's state names exactly what it is held against. A promotion begins the next one.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import polars as pl

from kept.measures.drift.cycle import Cycle, length_of
from kept.measures.drift.reference import Reference, reference_from, with_seasons
from kept.measures.drift.variation import LEAST_WINDOWS
from kept.monitoring import drift
from kept.monitoring.stream import Stream, features_of
from kept.monitoring.window import Window, windows_of
from kept.plan.windows import Windows


def enough_windows(cycle: Cycle | None, length: timedelta) -> int:
    """How many windows make an accepted period: ten, and two whole cycles where windows are told apart."""
    return LEAST_WINDOWS if cycle is None else max(LEAST_WINDOWS, math.ceil(2 * length_of(cycle) / length))


def accepted_reference(
    stream: Stream,
    known: Reference,
    since: datetime,
    window: Window,
    windows: Windows,
    comparable: Callable[[pl.DataFrame], pl.DataFrame],
) -> Reference | None:
    """The reference that the first windows with traffic give; None until there are enough before this one.

    Args:
        stream: the endpoint's predictions.
        known: the reference of the training rows, whose columns are watched, by its cells and seasons.
        since: the start of the first window.
        window: the one that is to be judged.
        windows: how event time is cut.
        comparable: which of a window's predictions count.
    """
    enough = enough_windows(known.cycle, windows.length)
    accepted = windows_of(stream.times_between(since, window.start), windows)[:enough]
    if len(accepted) < enough:
        return None
    rows = (stream.window(one).filter(pl.col("role") != "shadow") for one in accepted)
    counts = [drift.count(known, features_of(comparable(each))) for each in rows]
    if not any(one.rows for one in counts):
        return None
    found = reference_from(known.grid, counts)
    if known.cycle is None:
        return found
    seasons = [known.season_at(one.start) or 0 for one in accepted]
    return msgspec.structs.replace(with_seasons(found, counts, known.cycle, seasons), zone=known.zone)
