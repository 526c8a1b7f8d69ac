import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from kept.core.errors import CheckFailed, Invalid, NotFound
from kept.data import catalog, ingestion
from kept.data.version import DatasetVersion
from kept.governance.actor import Actor
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.plan.specs import DatasetSpec

START = datetime(2013, 1, 1, tzinfo=UTC)


def spec(**changes: Any) -> DatasetSpec:
    plain: dict[str, Any] = {
        "name": "flights",
        "function": lambda: None,
        "key": ("id",),
        "event_time": "at",
        "label": "late",
        "label_time": None,
        "label_delay": timedelta(hours=1),
        "features": None,
        "ignore": (),
        "mode": "replace",
        "max_bad_share": 0.1,
        "source": "the tower",
    }
    return DatasetSpec(**(plain | changes))


def flights(ids: range, **columns: Any) -> pl.DataFrame:
    plain: dict[str, Any] = {
        "id": list(ids),
        "at": [START + timedelta(hours=one) for one in ids],
        "temp": [float(one % 7) for one in ids],
        "late": [one % 3 == 0 for one in ids],
    }
    return pl.DataFrame(plain | columns)


Ingest = Callable[..., DatasetVersion]


@pytest.fixture
def ingest(workspace: Workspace, me: Actor) -> Ingest:
    def one(
        frame: pl.DataFrame, until: datetime | None = None, run_id: str | None = None, **changes: Any
    ) -> DatasetVersion:
        return ingestion.ingest(workspace, me, "p", spec(**changes), frame, until=until, run_id=run_id)

    return one


def stored(workspace: Workspace, number: int | None = None) -> pl.DataFrame:
    return catalog.read(workspace, "p", "flights", number).collect().sort("id")


def test_a_version_says_what_was_stored(workspace: Workspace, ingest: Ingest) -> None:
    version = ingest(flights(range(10)), run_id="run")
    assert (version.number, version.rows, version.rows_added, version.run_id) == (1, 10, 10, "run")
    assert (version.event_from, version.event_to) == (START, START + timedelta(hours=9))
    assert (version.source, version.created_by) == ("the tower", "ada")
    assert stored(workspace).equals(flights(range(10)))


def test_unchanged_content_makes_no_version(ingest: Ingest) -> None:
    first = ingest(flights(range(10)))
    again = ingest(flights(range(10)).sample(fraction=1, shuffle=True, seed=1).select("late", "at", "id", "temp"))
    assert again == first


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_every_version_stays_readable(workspace: Workspace, ingest: Ingest, mode: str) -> None:
    ingest(flights(range(10)), mode=mode)
    second = ingest(flights(range(5, 15)), mode=mode)
    assert (second.number, second.rows_added) == (2, 5)
    assert stored(workspace, 1).equals(flights(range(10)))
    expected = range(5, 15) if mode == "replace" else range(15)
    assert stored(workspace, 2).equals(flights(expected))
    with pytest.raises(NotFound, match="there is no version 3"):
        stored(workspace, 3)


def test_appended_rows_of_a_known_key_take_its_place(workspace: Workspace, ingest: Ingest) -> None:
    ingest(flights(range(10), late=None).with_columns(pl.col("late").cast(pl.Boolean)), mode="append")
    version = ingest(flights(range(8, 12)), mode="append")
    assert (version.rows, version.rows_added) == (12, 2)
    assert stored(workspace)["late"].to_list() == [None] * 8 + [False, True, False, False]
    assert ingest(flights(range(8, 12)), mode="append") == version
    assert ingest(flights(range(0)), mode="append") == version
    assert stored(workspace, 1)["late"].null_count() == 10


def test_appended_rows_may_bring_columns_and_first_values(workspace: Workspace, ingest: Ingest) -> None:
    ingest(flights(range(3), gust=None), mode="append")
    version = ingest(flights(range(3, 5), gust=2.5, runway="07L"), mode="append")
    assert stored(workspace)["gust"].to_list() == [None, None, None, 2.5, 2.5]
    assert stored(workspace)["runway"].to_list() == [None, None, None, "07L", "07L"]
    assert [finding.kind for finding in version.quality.findings] == ["new_column"]


def test_appending_needs_a_key(ingest: Ingest) -> None:
    with pytest.raises(Invalid, match=r"cannot be told from new ones. Declare key"):
        ingest(flights(range(3)), mode="append", key=())


def test_only_what_was_known_is_stored(workspace: Workspace, ingest: Ingest) -> None:
    ingest(flights(range(10)), until=START + timedelta(hours=4, minutes=30))
    assert stored(workspace)["id"].to_list() == [0, 1, 2, 3, 4]
    assert stored(workspace)["late"].to_list() == [True, False, False, True, None]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (flights(range(0)), "it has no rows"),
        (flights(range(3)).drop("late"), "there is no column 'late'"),
        (flights(range(3)).with_columns(pl.col("at").dt.replace_time_zone(None)), "times without a zone"),
        (flights(range(3)).with_columns(pl.col("at").dt.date()), "not moments with a zone"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    workspace: Workspace, ingest: Ingest, frame: pl.DataFrame, message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        ingest(frame)
    assert workspace.tables.version("data/p/flights") is None


def test_bad_rows_are_kept_with_their_reason(workspace: Workspace, me: Actor, ingest: Ingest) -> None:
    ingest(flights(range(20), temp=[float("inf")] + [1.0] * 19))
    version = ingest(flights(range(20)).with_columns(id=pl.Series([1, *range(1, 20)])))
    assert (version.rows, version.rows_quarantined) == (19, 1)
    ask = catalog.ShowQuarantine(project="p", dataset="flights", number=1)
    (bad,) = catalog.show_quarantine(workspace, me, ask)
    assert bad.reason == "temp is infinite"
    assert (bad.row["id"], bad.row["temp"]) == ("0", "inf")
    (newest,) = catalog.show_quarantine(workspace, me, msgspec.structs.replace(ask, number=None))
    assert newest.reason == "another row with this key (id) comes later"


def test_too_many_bad_rows_stop_it(workspace: Workspace, me: Actor, ingest: Ingest) -> None:
    first = ingest(flights(range(400)))
    broken = flights(range(400), temp=[None] * 50 + [1.0] * 350)
    with pytest.raises(
        CheckFailed, match=r"50 of 400 rows \(12.5%\) cannot be used, 10.0% may be: temp is null \(50 rows\)"
    ):
        ingest(broken)
    assert catalog.the_version(workspace, "p", "flights") == first
    rows = catalog.show_quarantine(workspace, me, catalog.ShowQuarantine(project="p", dataset="flights"))
    assert len(rows) == 50
    outcomes = [(entry.action, entry.outcome, entry.actor) for entry in list_audit(workspace, me, ListAudit())]
    assert outcomes == [("data.ingest", "failed", "ada"), ("data.ingest", "done", "ada")]


def test_a_schema_can_be_changed_by_hand(workspace: Workspace, me: Actor, ingest: Ingest) -> None:
    ingest(flights(range(400)))
    schema = catalog.show_schema(workspace, me, catalog.ShowData(project="p", dataset="flights"))
    relaxed = schema.schema.replace(
        "name: temp\n    logicalType: number\n    physicalType: number\n    required: true",
        "name: temp\n    logicalType: number",
    )
    assert relaxed != schema.schema
    catalog.set_schema(workspace, me, catalog.SetSchema(project="p", dataset="flights", schema=relaxed))
    version = ingest(flights(range(400), temp=[None] * 50 + [1.0] * 350))
    assert version.rows_quarantined == 0
    old = catalog.show_schema(workspace, me, catalog.ShowData(project="p", dataset="flights", number=1))
    assert old.contract == schema.contract


def test_the_difference_of_two_versions(workspace: Workspace, me: Actor, ingest: Ingest) -> None:
    ingest(flights(range(10)))
    ingest(flights(range(2, 12), gust=1.0).with_columns(temp=pl.when(pl.col("id") == 5).then(50.0).otherwise("temp")))
    found = catalog.diff_data(workspace, me, catalog.DiffData(project="p", dataset="flights"))
    assert (found.rows_added, found.rows_removed, found.rows_changed) == (2, 2, 1)
    assert (found.columns_added, found.columns_removed) == (("gust",), ())
    temp = next(column for column in found.columns if column.column == "temp")
    assert (temp.rows_changed, temp.before["maximum"], temp.after["maximum"]) == (1, 6.0, 50.0)


def test_the_difference_without_a_key(workspace: Workspace, me: Actor, ingest: Ingest) -> None:
    frame = flights(range(6))
    ingest(pl.concat([frame, frame]), key=())
    ingest(frame.with_columns(temp=pl.when(pl.col("id") == 5).then(50.0).otherwise("temp")), key=())
    found = catalog.diff_data(workspace, me, catalog.DiffData(project="p", dataset="flights"))
    assert (found.rows_added, found.rows_removed, found.rows_changed) == (1, 7, None)


def test_versions_are_listed_newest_first(workspace: Workspace, me: Actor, ingest: Ingest) -> None:
    for rows in (3, 4):
        ingest(flights(range(rows)))
    assert [one.number for one in catalog.list_data(workspace, me, catalog.ListData(project="p"))] == [2, 1]
    assert catalog.list_data(workspace, me, catalog.ListData(project="q")) == []
    assert catalog.show_data(workspace, me, catalog.ShowData(project="p", dataset="flights")).rows == 4


DYING = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from kept.core.clock import SystemClock
from kept.data import ingestion
from kept.governance.actor import owner
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables
from test_ingestion import flights, spec

class Dying(DeltaTables):
    def append(self, *arguments):
        super().append(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    def replace(self, *arguments):
        super().replace(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

root = Path({root!r})
workspace = Workspace(root=root, database=SqliteDatabase(root / "kept.db"), blobs=FolderBlobs(root / "blobs"),
                      tables=Dying(root / "tables"), clock=SystemClock(), settings=Settings())
ingestion.ingest(workspace, owner("ada", "python"), "p", spec(mode={mode!r}), flights(range(5, 15)))
"""


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("before", [0, 10])
def test_killed_between_table_and_record_nothing_is_there_twice(
    workspace: Workspace, ingest: Ingest, mode: str, before: int
) -> None:
    if before:
        ingest(flights(range(before)), mode=mode)
    code = DYING.format(tests=str(Path(__file__).parent), root=str(workspace.root), mode=mode)
    died = subprocess.run([sys.executable, "-c", code], check=False)
    assert died.returncode == -signal.SIGKILL
    assert workspace.tables.version("data/p/flights") == (2 if before else 1)
    if before:
        assert stored(workspace).equals(flights(range(before)))
    version = ingest(flights(range(6, 16)), mode=mode)
    expected = range(16) if before and mode == "append" else range(6, 16)
    assert version.number == (2 if before else 1)
    assert stored(workspace).equals(flights(expected))


def test_ingestions_at_the_same_time_lose_nothing(workspace: Workspace, ingest: Ingest) -> None:
    ingest(flights(range(1)), mode="append")
    failures: list[BaseException] = []

    def one(first: int) -> None:
        try:
            ingest(flights(range(first, first + 5)), mode="append")
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=one, args=(first,)) for first in (10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert stored(workspace)["id"].to_list() == [0, *range(10, 15), *range(20, 25), *range(30, 35)]
    assert catalog.the_version(workspace, "p", "flights").number == 4
