"""Which version answered a message that comes again, of a log of any length."""

from bisect import bisect_right
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.app.streaming import turns
from kept.app.streaming.turns import Turns
from kept.store.tables import DeltaTables

TABLES = ("answers", "refusals")
SCHEMA = {"spool": pl.String, "position": pl.Int64, "version_id": pl.String}


class Watched(DeltaTables):
    """Tables that count how often they are read."""

    reads = 0

    def read(self, name: str, version: int | None = None) -> pl.LazyFrame:
        self.reads += 1
        return super().read(name, version)


def written(root: Path, rows: dict[str, list[tuple[str, int, str]]]) -> Watched:
    tables = Watched(root)
    for table in TABLES:
        frame = pl.DataFrame(rows.get(table, []), schema=SCHEMA, orient="row")
        tables.append(table, pl.concat([frame, pl.DataFrame([("other", 1, "v0")], schema=SCHEMA, orient="row")]))
    return tables


_gaps = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from("abc"), st.sampled_from(TABLES)), min_size=1, max_size=12
)


@given(_gaps, st.data())
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_offset_has_the_version_of_the_first_turn_that_ends_behind_it(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    gaps: list[tuple[int, str, str]],
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(turns, "_AHEAD", data.draw(st.integers(0, 30)))
    rows: dict[str, list[tuple[str, int, str]]] = {}
    end, ends, versions = 0, list[int](), list[str]()
    for gap, version, table in gaps:
        end += gap
        rows.setdefault(table, []).extend([("mine", end, version)] * 2)
        ends.append(end)
        versions.append(version)
    found = Turns(written(tmp_path_factory.mktemp("tables"), rows))
    for _ in range(4):
        offsets = data.draw(st.lists(st.integers(0, end - 1), min_size=1, max_size=5, unique=True).map(sorted))
        assert found.versions("mine", offsets, TABLES) == [versions[bisect_right(ends, one)] for one in offsets]


def test_a_stream_that_comes_again_is_not_read_for_each_step(tmp_path: Path) -> None:
    rows = [("mine", end, f"v{end // 1000}") for end in range(1, 4_001)]
    tables = written(tmp_path, {"answers": rows})
    found = Turns(tables)
    for start in range(0, 4_000, 10):
        offsets = list(range(start, start + 10))
        assert found.versions("mine", offsets, ("answers",)) == [f"v{(offset + 1) // 1000}" for offset in offsets]
    assert tables.reads == 1


def test_what_no_turn_ends_behind_has_no_version(tmp_path: Path) -> None:
    tables = written(tmp_path, {"answers": [("mine", 5, "a")]})
    found = Turns(tables)
    assert found.versions("mine", [3, 7], TABLES) == ["a", None]
    assert found.versions("mine", [7], TABLES) == [None]
