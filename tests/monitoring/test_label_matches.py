"""How many labels meet a prediction."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from kept.core.errors import Invalid
from kept.data.label import LabelEntry
from kept.data.label_files import Imported, import_file
from kept.data.labels import RecordLabels, import_labels, record_labels, ship
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.label_matches import LabelMatches, MatchLabels, match_labels

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)


def log(workspace: Workspace, ids: list[str], keys: list[str | None]) -> None:
    rows = pl.DataFrame(
        {"id": ids, "key": keys, "role": ["champion"] * len(ids), "event_time": [NOON] * len(ids)},
        schema_overrides={"key": pl.String},
    )
    workspace.tables.append("predictions/flights", rows)


def counts(
    workspace: Workspace, me: Actor, source: str | None = None, after: int = 0
) -> tuple[int, int, int, int, int]:
    found = match_labels(workspace, me, MatchLabels(endpoint="flights", source=source, after=after))
    assert isinstance(found, LabelMatches)
    return found.labels, found.matched, found.waiting, found.duplicates, found.corrected


@pytest.mark.parametrize("shipped", [False, True])
def test_labels_are_told_apart(workspace: Workspace, me: Actor, *, shipped: bool) -> None:
    assert counts(workspace, me) == (0, 0, 0, 0, 0)

    def tell(source: str, *labels: LabelEntry) -> None:
        record_labels(workspace, me, RecordLabels(endpoint="flights", labels=list(labels), source=source))
        if shipped:
            ship(workspace, "flights")

    tell("first", LabelEntry(key="a", value=True), LabelEntry(prediction_id="p2", value=False))
    assert counts(workspace, me) == (2, 0, 2, 0, 0)
    log(workspace, ["p1", "p2", "p3"], ["a", None, "a"])
    # One label may be of many predictions.
    assert counts(workspace, me) == (2, 2, 0, 0, 0)
    tell(
        "second",
        LabelEntry(key="a", value=True),
        LabelEntry(key="a", value=False),
        LabelEntry(prediction_id="p2", value=True),
        LabelEntry(prediction_id="a", value=True),
    )
    assert counts(workspace, me, "second") == (4, 3, 1, 1, 2)
    assert counts(workspace, me, "first") == (2, 2, 0, 0, 0)
    assert counts(workspace, me) == (6, 5, 1, 1, 2)


def test_a_file_is_told_of_by_itself(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    log(workspace, ["p1", "p2"], ["a", "b"])
    path = tmp_path / "outcomes.csv"

    def bring(text: str) -> Imported:
        path.write_text(text)
        return import_file(path, "flights", lambda request: import_labels(workspace, me, request))

    found = bring("key,label\na,1\nb,0\nc,1\n")
    assert counts(workspace, me, path.name, found.before) == (3, 2, 1, 0, 0)
    found = bring("key,label\na,1\nb,1\n")
    assert counts(workspace, me, path.name, found.before) == (2, 2, 0, 1, 1)
    with pytest.raises(Invalid, match="2 of 3 rows are refused, and so none is recorded"):
        bring("key,label\na,1\nb,\n,1\n")
