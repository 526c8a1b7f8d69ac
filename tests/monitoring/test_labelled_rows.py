from datetime import UTC, datetime, timedelta

import polars as pl

from kept.data.label import LabelEntry
from kept.data.labels import RecordLabels, record_labels
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.labelled_rows import labelled_back
from kept.monitoring.stream import Stream
from kept.monitoring.window import Window
from kept.plan.windows import Windows

APRIL = datetime(2013, 4, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_windows_with_labels_come_the_newest_first_each_in_order(workspace: Workspace, me: Actor) -> None:
    stretch, windows = Window(start=APRIL, end=APRIL + 96 * HOUR), Windows(length=24 * HOUR)
    assert list(labelled_back(workspace, Stream(workspace, "flights"), "v1", stretch, windows)) == []
    hours = [30, 5, 4, 75, 100, 52, 31, 6]
    rows = pl.DataFrame(
        {
            "id": [str(hour) for hour in hours],
            "key": [None] * len(hours),
            "role": ["champion"] * len(hours),
            "version_id": ["v1"] * 7 + ["v2"],
            "event_time": [APRIL + hour * HOUR for hour in hours],
        },
        schema_overrides={"key": pl.String},
    )
    workspace.tables.append("predictions/flights", rows)
    labels = [LabelEntry(prediction_id=str(hour), value=True) for hour in hours if hour != 52]
    record_labels(workspace, me, RecordLabels(endpoint="flights", labels=labels))
    found = labelled_back(workspace, Stream(workspace, "flights"), "v1", stretch, windows)
    # 100 lies behind the stretch, 52 has no label, 6 is another version's.
    assert [one["id"].to_list() for one in found] == [["75"], ["30", "31"], ["4", "5"]]
