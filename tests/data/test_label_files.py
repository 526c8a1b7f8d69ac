from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kept.core.errors import Invalid
from kept.data import labels
from kept.data.label_files import Imported, import_file
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace

Import = Callable[..., Imported]


@pytest.fixture
def bring(workspace: Workspace, me: Actor, tmp_path: Path) -> Import:
    def one(text: str | pl.DataFrame, **columns: Any) -> Imported:
        path = tmp_path / ("labels.csv" if isinstance(text, str) else "labels.parquet")
        if isinstance(text, str):
            path.write_text(text)
        else:
            text.write_parquet(path)
        return import_file(path, "flights", lambda request: labels.import_labels(workspace, me, request), **columns)

    return one


def in_force(workspace: Workspace) -> dict[str, str]:
    found = labels.current(workspace, "flights").collect()
    return {row["prediction_id"] or row["key"]: row["value"] for row in found.iter_rows(named=True)}


def test_a_csv_file(workspace: Workspace, bring: Import) -> None:
    text = 'key,label,known_at\n"a\nb",1.0,2013-01-01T12:00:00+01:00\n\nc,0,\n'
    assert bring(text) == Imported(rows=2, recorded=2, before=0)
    assert in_force(workspace) == {"a\nb": "1", "c": "0"}
    known = labels.history(workspace, "flights").sort("sequence").collect()["known_at"]
    assert known[0] == datetime(2013, 1, 1, 11, tzinfo=UTC)
    assert bring(text) == Imported(rows=2, recorded=0, before=2)


def test_what_only_looks_like_a_number_is_a_text(workspace: Workspace, bring: Import) -> None:
    assert bring("key,label\na,1_000\nb,2.0\nc,inf\n") == Imported(rows=3, recorded=3, before=0)
    assert in_force(workspace) == {"a": "1_000", "b": "2.0", "c": "inf"}


def test_a_parquet_file(workspace: Workspace, bring: Import) -> None:
    frame = pl.DataFrame({"id": ["p1", "p2"], "late": [True, False], "landed": [datetime(2013, 1, 1, tzinfo=UTC)] * 2})
    assert bring(frame, value="late", prediction_id="id", known_at="landed").recorded == 2
    assert in_force(workspace) == {"p1": "true", "p2": "false"}


def test_a_file_larger_than_a_batch_that_was_interrupted(
    workspace: Workspace, me: Actor, tmp_path: Path, bring: Import
) -> None:
    text = "key,label\n" + "".join(f"{at},{at % 2}\n" for at in range(12_000))
    path = tmp_path / "labels.csv"
    path.write_text(text)
    sent = 0

    def failing(request: labels.ImportLabels) -> labels.RecordedRows:
        nonlocal sent
        sent += 1
        if sent == 3:
            raise ConnectionError
        return labels.import_labels(workspace, me, request)

    with pytest.raises(ConnectionError):
        import_file(path, "flights", failing)
    assert len(in_force(workspace)) == 5_000
    assert bring(text) == Imported(rows=12_000, recorded=7_000, before=5_000)
    assert labels.history(workspace, "flights").collect().height == 12_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv: it is empty"),
        ("key,label\n", "it has no rows"),
        ("key,value\na,1\n", "there is no column 'label'. It has key, value"),
        ("flight,label\na,1\n", "it is not clear what the labels are of"),
        ("key,label\na,1\nb,\n", r"labels.csv, line 3, column label: '' is not a label"),
        ("key,label\na,1\nb,nan\n", r"line 3, column label: 'nan' is not a label"),
        ("key,label\n,1\n", r"line 2, column key: it does not say what it is a label of"),
        ("key,label\na,1\nb", r"line 3: it has 1 fields, the header has 2. Check that the file was written completely"),
        ("key,label,known_at\na,1,2013-01-01T12:00:00\n", r"line 2, column known_at: the time .* has no zone"),
        ("key,label,known_at\na,1,noon\n", r"line 2, column known_at: 'noon' is not a time"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_nothing_recorded(
    workspace: Workspace, bring: Import, text: str, message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        bring(text)
    assert in_force(workspace) == {}


def test_a_half_written_parquet_file(tmp_path: Path, bring: Import) -> None:
    bring(pl.DataFrame({"key": ["a"], "label": [1]}))
    path = tmp_path / "labels.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Invalid, match=r"labels.parquet: not a Parquet file"):
        import_file(path, "flights", lambda request: labels.RecordedRows(recorded=len(request.labels), before=0))
    with pytest.raises(Invalid, match="there is no such file"):
        import_file(
            tmp_path / "no.csv", "flights", lambda request: labels.RecordedRows(recorded=len(request.labels), before=0)
        )
