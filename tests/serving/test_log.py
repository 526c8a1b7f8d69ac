"""The spool: what is written is read back, and what is torn is left out."""

import itertools
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.core.errors import Unavailable
from kept.serving.entries import Answered, ArmNote, Entry, Failed, frames
from kept.serving.log import Spool
from kept.serving.logrules import LogRules
from kept.store.spool import begin_size, is_live, segments

values = st.none() | st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8) | st.booleans()


def note(endpoint: str = "late") -> ArmNote:
    return ArmNote(
        key=f"{endpoint}/v1",
        endpoint=endpoint,
        version_id="v1",
        number=1,
        model="m",
        bundle="sha256:" + "0" * 64,
        role="champion",
        task="binary",
        classes=("no", "yes"),
        names=("a", "b"),
        kinds=("number", "text"),
    )


def answered(*rows: tuple[Any, ...], start: int = 0, endpoint: str = "late") -> Answered:
    n = len(rows)
    return Answered(
        arm=f"{endpoint}/v1",
        ids=[f"{endpoint}-{start + row}" for row in range(n)],
        answers=None,
        event_times=[1_000_000 * (start + row) for row in range(n)],
        received_at=[2_000_000] * n,
        keys=[None] * n,
        features=[*rows],
        scores=[0.25] * n,
        latencies_us=[7] * n,
    )


def failed() -> Failed:
    return Failed(
        id="f", endpoint="late", version_id="v1", role="champion", received_at=1, status=400, reason="no", rows=0, latency_us=3
    )  # fmt: skip


def read(spool: Spool) -> list[Entry]:
    return [entry for start, path in segments(spool.folder) for _, entries in frames(path, start) for entry in entries]


@given(
    st.lists(st.lists(st.tuples(values, values), min_size=1, max_size=3), min_size=1, max_size=8), st.integers(20, 500)
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_written_is_read(tmp_path: Path, turns: list[list[tuple[Any, Any]]], size: int) -> None:
    spool = Spool(tmp_path, segment_bytes=size)
    for rows in turns:
        spool.write([(note(), answered(*rows))], [failed()])
    found = read(spool)
    batches = [entry for entry in found if isinstance(entry, Answered)]
    assert [[tuple(row) for row in batch.features] for batch in batches] == turns
    assert sum(isinstance(entry, Failed) for entry in found) == len(turns)
    # Each segment says itself what its predictions mean.
    assert sum(isinstance(entry, ArmNote) for entry in found) == len(segments(spool.folder))
    spool.close()


def test_offsets_go_on_from_segment_to_segment(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=300)
    for start in range(20):
        spool.write([(note(), answered((1.0, "x"), start=start))])
    found = segments(spool.folder)
    assert len(found) > 3
    for (start, path), (following, _) in itertools.pairwise(found):
        assert start + path.stat().st_size == following
        assert [offset for offset, _ in frames(path, start)][-1] == following
    spool.close()


def test_a_segment_torn_anywhere_gives_its_whole_frames(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    ends = list[int]()
    for start in range(4):
        spool.write([(note(), answered((1.0, "x"), start=start))])
        [(_, path)] = segments(spool.folder)
        ends = [*(ends or [begin_size(path)]), path.stat().st_size]
    spool.close()
    whole = path.read_bytes()
    torn = tmp_path / "torn.log"
    for size in range(len(whole)):
        torn.write_bytes(whole[:size])
        assert len(list(frames(torn, 0))) == sum(end <= size for end in ends[1:])
    for place in range(ends[2], ends[3]):
        torn.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert len(list(frames(torn, 0))) == 2


def test_a_spool_is_live_while_its_process_is(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write([], [failed()])
    assert is_live(spool.folder)
    spool.close()
    assert not is_live(spool.folder)


@pytest.mark.parametrize("flush", [False, True])
def test_a_segment_that_is_removed_while_it_is_written_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, flush: bool
) -> None:
    spool = Spool(tmp_path / "spools", rules=LogRules(flush=flush))
    spool.write([(note(), answered((1.0, "x")))])
    folder = spool.folder
    shutil.rmtree(tmp_path / "spools")
    written = 1
    # Looked for now and then only: it costs something.
    while not folder.exists():
        assert written < 6_000
        time.sleep(0.01)
        spool.write([(note(), answered((2.0, "y"), start=written))])
        written += 1
    spool.write([(note(), answered((3.0, "z"), start=written))])
    assert is_live(folder)
    segments(folder)[0][1].unlink()
    spool.write([(note(), answered((3.0, "z"), start=written + 1))])
    # What is gone when the spool is closed is there again, too.
    spool.close()
    assert not is_live(folder)
    assert [one for entry in read(spool) if isinstance(entry, Answered) for one in entry.ids] == [
        f"late-{place}" for place in range(written + 2)
    ]
    assert [entry for entry in read(spool) if isinstance(entry, ArmNote)] == [note()]
    assert caplog.text.count("was removed while it was written") == 2
    assert {path.suffix for path in folder.iterdir()} == {".log"}


def test_a_full_disk_refuses_and_leaves_no_torn_frame(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write([(note(), answered((1.0, "x")))])
    [(_, path)] = segments(spool.folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # The next write reaches the limit in its middle.
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        with pytest.raises(Unavailable, match="nothing is answered that is not logged"):
            spool.write([(note("other"), answered((2.0, "y"), endpoint="other"))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(read(spool)) == 2
    spool.write([(note("other"), answered((3.0, "z"), endpoint="other"))])
    assert [entry.ids for entry in read(spool) if isinstance(entry, Answered)] == [["late-0"], ["other-0"]]
    assert sum(isinstance(entry, ArmNote) for entry in read(spool)) == 2
    spool.close()
