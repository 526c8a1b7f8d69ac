import math
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.core.clock import SystemClock
from kept.core.errors import Invalid
from kept.data import labels
from kept.data.label import LabelEntry
from kept.data.labels import ImportLabels, RecordLabels, ShowLabels
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


def record(workspace: Workspace, me: Actor, *entries: LabelEntry, endpoint: str = "flights") -> None:
    request = RecordLabels(endpoint=endpoint, labels=list(entries))
    assert labels.record_labels(workspace, me, request).recorded == len(entries)


def in_force(workspace: Workspace) -> dict[str, tuple[str, int]]:
    found = labels.current(workspace, "flights").collect()
    return {
        row["prediction_id"] or row["key"]: (row["value"], row["corrections"]) for row in found.iter_rows(named=True)
    }


def test_the_last_label_wins_and_history_stays(workspace: Workspace, me: Actor) -> None:
    record(workspace, me, LabelEntry(value=True, key=7), LabelEntry(value=1, prediction_id="p1"))
    assert labels.ship(workspace, "flights") == 2
    record(workspace, me, LabelEntry(value=False, key="7"), LabelEntry(value=1.0, prediction_id="p1"))
    assert in_force(workspace) == {"7": ("false", 1), "p1": ("1", 0)}
    shown = labels.show_labels(workspace, me, ShowLabels(endpoint="flights", key="7"))
    assert [(one.value, one.actor, one.source) for one in shown] == [("false", "ada", "api"), ("true", "ada", "api")]
    assert labels.ship_all(workspace) == 2
    assert in_force(workspace) == {"7": ("false", 1), "p1": ("1", 0)}
    assert labels.ship_all(workspace) == 0


def test_whether_labels_have_come_is_told_by_one_number_shipped_or_not(workspace: Workspace, me: Actor) -> None:
    assert labels.newest(workspace, "flights") == 0
    record(workspace, me, LabelEntry(value=True, key=1), LabelEntry(value=True, key=2))
    first = labels.newest(workspace, "flights")
    assert first > 0
    labels.ship(workspace, "flights")
    assert labels.newest(workspace, "flights") == first
    record(workspace, me, LabelEntry(value=True, key=3), endpoint="trains")
    assert labels.newest(workspace, "flights") == first
    record(workspace, me, LabelEntry(value=False, key=1))
    assert labels.newest(workspace, "flights") > first


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (LabelEntry(value=None, key="a"), r"labels\[1\]: None is not a label"),
        (LabelEntry(value=math.nan, key="a"), r"labels\[1\]: nan is not a label"),
        (LabelEntry(value=" NaN ", key="a"), "is not a label"),
        (LabelEntry(value="", key="a"), "is not a label"),
        (LabelEntry(value=1), r"labels\[1\]: it has neither prediction_id nor key"),
        (LabelEntry(value=1, key="a", prediction_id="b"), "both prediction_id and key"),
        (LabelEntry(value=1, key=""), "is empty"),
        (LabelEntry(value=1, key="a", known_at=NOON.replace(tzinfo=None)), r"labels\[1\], known_at: .* has no zone"),
    ],
)
def test_a_wrong_label_is_named_and_none_is_recorded(
    workspace: Workspace, me: Actor, entry: LabelEntry, message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        record(workspace, me, LabelEntry(value=1, key="good"), entry)
    assert in_force(workspace) == {}


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"unknown field `lable` - at `\$.labels\[0\]`"):
        msgspec.json.decode(b'{"endpoint": "e", "labels": [{"lable": 1, "value": 2}]}', type=RecordLabels)


@pytest.mark.parametrize("endpoint", ["", "a/b", "../labels", ".hidden", "flights\n"])
def test_an_endpoint_that_is_no_name_is_refused(workspace: Workspace, me: Actor, endpoint: str) -> None:
    with pytest.raises(Invalid, match="is not the name of an endpoint"):
        record(workspace, me, LabelEntry(value=1, key="a"), endpoint=endpoint)


def test_a_request_has_an_end(workspace: Workspace, me: Actor) -> None:
    with pytest.raises(Invalid, match="Send at most"):
        record(workspace, me, *[LabelEntry(value=1, key="a")] * (labels.MOST + 1))


def test_predictions_meet_their_labels_by_id_and_by_key(workspace: Workspace, me: Actor) -> None:
    record(
        workspace,
        me,
        LabelEntry(value=0, key="k1", known_at=NOON),
        LabelEntry(value=1, prediction_id="p1", known_at=NOON + timedelta(hours=1)),
        LabelEntry(value="x", prediction_id="p3", known_at=NOON),
        LabelEntry(value="y", key="k3", known_at=NOON + timedelta(hours=2)),
    )
    predictions = pl.LazyFrame({"id": ["p3", "p2", "p1", "p0"], "key": ["k3", "k1", "k1", None]})
    joined = labels.join(workspace, predictions, "flights").collect()
    assert joined.select("id", "key").equals(predictions.collect())
    assert joined["label"].to_list() == ["y", "0", "1", None]
    assert joined["label_known_at"].to_list() == [NOON + timedelta(hours=2), NOON, NOON + timedelta(hours=1), None]
    early = labels.join(workspace, predictions, "flights", until=NOON).collect()
    assert early["label"].to_list() == ["x", "0", "0", None]
    unlabelled = labels.join(workspace, predictions, "other").collect()
    assert unlabelled["label"].null_count() == 4
    numbers = labels.join(workspace, pl.LazyFrame({"key": [1]}), "flights").collect()
    assert numbers["label"].to_list() == [None]


steps = st.lists(
    st.one_of(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), min_size=1, max_size=4),
        st.just("ship"),
        st.just("compact"),
    ),
    max_size=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps)
def test_the_ledger_is_a_log_whose_last_entry_counts(
    tmp_path_factory: pytest.TempPathFactory, me: Actor, steps: list[list[tuple[str, int]] | str]
) -> None:
    workspace = make(tmp_path_factory.mktemp("workspace"))
    log: list[tuple[str, int]] = []
    for step in steps:
        if isinstance(step, list):
            record(workspace, me, *[LabelEntry(value=value, key=key) for key, value in step])
            log += step
        elif step == "ship":
            labels.ship(workspace, "flights")
        elif workspace.tables.version("labels/flights") is not None:
            workspace.tables.compact("labels/flights")
    history = labels.history(workspace, "flights").sort("sequence").collect()
    assert list(history.select("key", "value").iter_rows()) == [(key, str(value)) for key, value in log]
    assert {key: value for key, (value, _) in in_force(workspace).items()} == {key: str(value) for key, value in log}


def make(root: Path) -> Workspace:
    database = SqliteDatabase(root / "kept.db")
    database.create()
    return Workspace(
        root=root,
        database=database,
        blobs=FolderBlobs(root / "blobs"),
        tables=DeltaTables(root / "tables"),
        clock=SystemClock(),
        settings=Settings(),
    )


def test_a_file_is_recorded_once_and_goes_on_where_it_stopped(workspace: Workspace, me: Actor) -> None:
    def send(first: int, count: int) -> int:
        rows = [LabelEntry(value=at, key=str(at)) for at in range(first, first + count)]
        request = ImportLabels(endpoint="flights", digest="sha256:0", file="labels.csv", first=first, labels=rows)
        return labels.import_labels(workspace, me, request).recorded

    assert [send(0, 3), send(0, 3), send(1, 4)] == [3, 3, 5]
    with pytest.raises(Invalid, match=r"goes on at row 9, and 5 rows are recorded"):
        send(9, 1)
    with pytest.raises(Invalid, match="below 0"):
        send(-2, 1)
    assert labels.history(workspace, "flights").collect().height == 5


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from kept.governance.actor import owner
from kept.data import labels
from kept.data.label import LabelEntry
from test_labels import make
workspace = make(Path({root!r}))
for at in range(10_000):
    labels.record_labels(workspace, owner("ada", "python"),
        labels.RecordLabels(endpoint="flights", labels=[LabelEntry(value=at, key=str(at))]))
    print(at, flush=True)
    if at % 5 == 4:
        labels.ship(workspace, "flights")
"""


def test_what_was_acknowledged_survives_a_kill(workspace: Workspace) -> None:
    code = WRITER.format(tests=str(Path(__file__).parent), root=str(workspace.root))
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout:
        for _ in range(23):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        told = 23 + len(writer.stdout.read().splitlines())
    writer.wait()
    labels.ship(workspace, "flights")
    values = labels.history(workspace, "flights").sort("sequence").collect()["value"].to_list()
    assert told <= len(values) <= told + 1
    assert values == [str(at) for at in range(len(values))]
