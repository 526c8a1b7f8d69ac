"""A version's labelled predictions, a window at a time from the newest back: however many there are, one window is in memory."""

from collections.abc import Iterator

import polars as pl

from kept.data import labels as ledger
from kept.governance.workspace import Workspace
from kept.monitoring.stream import Stream
from kept.monitoring.window import Window, numbered
from kept.plan.windows import Windows


def labelled_back(
    workspace: Workspace, stream: Stream, version_id: str, stretch: Window, windows: Windows
) -> Iterator[pl.DataFrame]:
    """The labelled predictions of each window of a stretch that has any, by event time and id, the newest window first.

    Args:
        workspace: where.
        stream: the endpoint's predictions.
        version_id: whose.
        stretch: from its start to its end, which is left out.
        windows: how event time is cut.
    """
    rows = stream.rows()
    if rows is None:
        return
    when = pl.col("event_time")
    own = rows.filter((pl.col("version_id") == version_id) & when.is_between(stretch.start, stretch.end, closed="left"))
    numbers = own.select(windows.numbers(when).unique()).collect(engine="streaming").to_series()
    for number in numbers.sort(descending=True):
        window = numbered(number, windows)
        inside = own.filter(when.is_between(window.start, window.end, closed="left"))
        labelled = ledger.join(workspace, inside, stream.endpoint).filter(pl.col("label").is_not_null())
        found = labelled.collect().sort("event_time", "id")
        if not found.is_empty():
            yield found
