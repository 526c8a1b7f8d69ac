"""Segments of every format that was ever written can be read: the files in `golden/` are never written again."""

import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest

from kept.core.clock import SystemClock
from kept.serving.entries import Answered, ArmNote, Entry, Failed, frames
from kept.serving.shipping import Shipper
from kept.store.spool import begin_size
from kept.store.tables import DeltaTables

# Written before a note told the logged share.
FIRST = Path(__file__).parent / "golden" / "spool-1.bin"
# With a seed of its own for the sums.
SECOND = FIRST.with_name("spool-2.bin")
both = pytest.mark.parametrize(("path", "begin"), [(FIRST, 8), (SECOND, 16)], ids=["format 1", "format 2"])

LATE = ArmNote(
    key="late/v1/champion", endpoint="late", version_id="v1", number=7, model="flights", bundle="sha256:" + "ab" * 32,
    role="champion", task="binary", classes=("no", "yes"), names=("distance", "hour", "carrier", "express"),
    kinds=("number", "integer", "category", "boolean"),
)  # fmt: skip
KINDS = ArmNote(
    key="kinds/v2/shadow", endpoint="kinds", version_id="v2", number=2, model="kinds", bundle="sha256:" + "cd" * 32,
    role="shadow", task="multiclass", classes=("early", "late", "on time"), names=("wind",), kinds=("number",),
)  # fmt: skip
ANSWERED = Answered(
    arm="late/v1/champion", ids=["a-1", "a-2"], answers=None, event_times=[1_364_774_400_000_000, -1],
    received_at=[1_700_000_000_000_000] * 2, keys=["k", None],
    features=[[700.5, 8, "AA", True], [None, None, "żółć", False]], scores=[0.25, 0.75], latencies_us=[120, 120],
)  # fmt: skip
SHADOWED = Answered(
    arm="kinds/v2/shadow", ids=["b-1"], answers=["a-1"], event_times=[1_364_774_400_000_000],
    received_at=[1_700_000_000_000_001], keys=[None], features=[[1e300]], scores=[[0.1, 0.2, 0.7]], latencies_us=[99],
)  # fmt: skip
FAILED = Failed(
    id="c-1", endpoint="late", version_id="v1", role="champion", received_at=1_700_000_000_000_002, status=400,
    reason="rows[0]: the field 'distance' is missing", rows=0, latency_us=40,
)  # fmt: skip


@both
def test_it_is_read(path: Path, begin: int) -> None:
    found: list[tuple[int, list[Entry]]] = list(frames(path, 0))
    assert begin_size(path) == begin
    assert [offset for offset, _ in found] == [begin + 329, path.stat().st_size]
    assert [entries for _, entries in found] == [[LATE, ANSWERED], [ANSWERED, KINDS, SHADOWED, FAILED]]
    assert LATE.share == 1.0


@both
def test_it_is_shipped_whole(tmp_path: Path, path: Path, begin: int) -> None:
    del begin
    (tmp_path / "spool" / "dead").mkdir(parents=True)
    shutil.copy(path, tmp_path / "spool" / "dead" / f"{0:020}.log")
    shipper = Shipper(tmp_path / "spool", DeltaTables(tmp_path / "tables"), SystemClock())
    assert shipper.ship().by_endpoint == {"late": 4, "kinds": 1}
    assert not (tmp_path / "spool" / "dead").exists()
    late = DeltaTables(tmp_path / "tables").read("predictions/late").filter(pl.col("id") == "a-2").collect()
    assert late["feature_carrier"].to_list() == ["żółć"] * 2
    assert late["share"].to_list() == [1.0, 1.0]


def test_what_a_note_has_more_is_passed_over_by_older_readers() -> None:
    class Older(msgspec.Struct, kw_only=True, array_like=True, tag="arm"):
        key: str
        endpoint: str

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(LATE), type=Older).endpoint == "late"
