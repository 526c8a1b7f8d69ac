"""Spools that were cut or garbled, and destinations that fail: nothing is doubled, and what is lost is told."""

import random
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.app.tracked.delivery import Delivery
from kept.app.tracked.destination import InWorkspace
from kept.app.tracked.recorder import Recorder
from kept.app.tracked.spool import MAGIC, facts_of
from kept.app.tracked.waiting import deliver_waiting
from kept.core.errors import Damaged, Unavailable
from kept.core.ids import new_id
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.store.spool import HEADER, SpoolWriter, begin_size, payloads, segments
from kept.tracking.finding import metric_history
from kept.tracking.requests import MetricHistory
from kept.tracking.spooled import Begun, FileNote, Frame, Logged, Received, ReceiveFrames

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
calmly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def spooled(root: Path, contents: list[bytes], *, segment_bytes: int = 200) -> SpoolWriter:
    writer = SpoolWriter(root, MAGIC, segment_bytes=segment_bytes)
    for content in contents:
        writer.turn()
        writer.append(bytearray(HEADER.size) + content)
    return writer


def read(folder: Path) -> list[bytes]:
    return [payload for start, path in segments(folder) for _, payload in payloads(path, start, MAGIC)]


@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=12), st.data())
@calmly
def test_a_cut_segment_gives_its_whole_frames(tmp_path: Path, contents: list[bytes], data: st.DataObject) -> None:
    writer = spooled(tmp_path, contents)
    writer.close()
    start, path = segments(writer.folder)[-1]
    whole = [payload for _, payload in payloads(path, start, MAGIC)]
    size, begin = data.draw(st.integers(0, path.stat().st_size)), begin_size(path)
    path.write_bytes(path.read_bytes()[:size])
    found = [payload for _, payload in payloads(path, start, MAGIC)]
    assert found == whole[: len(found)]
    lengths = [begin, *(HEADER.size + len(payload) for payload in whole)]
    assert len(found) == max(0, sum(1 for n in range(1, len(lengths) + 1) if sum(lengths[:n]) <= size) - 1)


@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=12), st.data())
@calmly
def test_a_garbled_byte_is_never_taken_for_what_was_written(
    tmp_path: Path, contents: list[bytes], data: st.DataObject
) -> None:
    writer = spooled(tmp_path, contents, segment_bytes=10_000)
    writer.close()
    ((start, path),) = segments(writer.folder)
    garbled = bytearray(path.read_bytes())
    garbled[data.draw(st.integers(0, len(garbled) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(garbled)
    try:
        found = [payload for _, payload in payloads(path, start, MAGIC)]
    except Damaged:
        found = []
    assert found == contents[: len(found)]
    assert len(found) < len(contents)


class Shaky:
    """A workspace behind a line that breaks, before or after what is sent has arrived."""

    def __init__(self, inner: InWorkspace, fate: random.Random) -> None:
        self._inner, self._fate = inner, fate
        self.address, self.actor, self.spools = inner.address, inner.actor, inner.spools

    def receive(self, request: ReceiveFrames) -> Received:
        if self._fate.random() < 0.3:
            raise Unavailable("gone before")
        answer = self._inner.receive(request)
        if self._fate.random() < 0.3:
            raise Unavailable("gone after")
        return answer

    def put(self, location: str, path: str, file: Path) -> None:
        self._inner.put(location, path, file)

    def close(self) -> None:
        self._inner.close()


@given(st.integers(0, 2**32), st.integers(1, 60))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_over_a_line_that_breaks_each_frame_arrives_once(
    workspace: Workspace, me: Actor, seed: int, count: int
) -> None:
    run, fate = new_id().replace("-", ""), random.Random(seed)
    shaky = Shaky(InWorkspace(workspace, me), fate)
    frames = [Frame(begun=Begun(experiment="churn", at=NOW))]
    frames += [Frame(logged=[Logged(at=step, step=step, values={"loss": float(step)})]) for step in range(count)]
    writer = SpoolWriter(shaky.spools, MAGIC, segment_bytes=300)
    delivery = Delivery(writer.folder, run, shaky)
    for frame in frames:
        writer.turn()
        writer.append(bytearray(HEADER.size) + msgspec.msgpack.encode(frame))
        if fate.random() < 0.3:
            deliver_once(delivery)
        if fate.random() < 0.1:
            # Another process takes it up, knowing nothing.
            delivery = Delivery(writer.folder, run, shaky)
    while not deliver_once(delivery):
        pass
    writer.close()
    assert delivery.clear()
    assert not writer.folder.exists()
    found = metric_history(workspace, me, MetricHistory(run=run, name="loss")).points
    assert [point.value for point in found] == [float(step) for step in range(count)]


def deliver_once(delivery: Delivery) -> bool:
    try:
        delivery.deliver()
    except Unavailable:
        return False
    return True


def test_what_is_torn_is_set_aside_and_the_rest_arrives(workspace: Workspace, me: Actor) -> None:
    destination = InWorkspace(workspace, me)
    run = new_id().replace("-", "")
    recorder = Recorder(
        destination.spools,
        facts_of(run, begun=True, actor="ada", address=""),
        most_bytes=1 << 20,
        when_full="wait",
        news=lambda: None,
    )
    recorder.buffer.append(Frame(begun=Begun(experiment="churn", at=NOW)))
    recorder.buffer.append((1, 0, {"loss": 0.5}))
    recorder.settle(10)
    recorder.stop()
    recorder.close()
    ((_, path),) = segments(recorder.folder)
    with path.open("ab") as stream:
        stream.write(b"torn")
    (one,) = deliver_waiting(destination)
    assert (one.frames, one.waiting) == (3, True)
    assert [point.value for point in metric_history(workspace, me, MetricHistory(run=run, name="loss")).points] == [0.5]
    assert [found.suffix for found in recorder.folder.iterdir() if found.name != "spool.json"] == [".torn"]
    (told,) = deliver_waiting(destination)
    assert "lies in" in told.trouble


def test_a_spool_that_does_not_say_whose_it_is_is_told(workspace: Workspace, me: Actor) -> None:
    destination = InWorkspace(workspace, me)
    spooled(destination.spools, [b"x"]).close()
    (told,) = deliver_waiting(destination)
    assert "does not say whose it is" in told.trouble


def test_a_spool_of_a_living_process_is_left_alone(workspace: Workspace, me: Actor) -> None:
    destination = InWorkspace(workspace, me)
    writer = spooled(destination.spools, [b"x"])
    assert deliver_waiting(destination) == []
    writer.close()


@pytest.mark.parametrize("when_full", ["wait", "raise"])
def test_a_full_spool_holds_back_and_drops_nothing(tmp_path: Path, when_full: str) -> None:
    recorder = Recorder(
        tmp_path,
        facts_of("r", begun=True, actor="", address=""),
        most_bytes=4_000,
        when_full=when_full,  # type: ignore[arg-type] # one of the two
        news=lambda: None,
    )
    recorder.most = 50
    steps = 0

    def log() -> None:
        nonlocal steps
        recorder.make_room()
        recorder.buffer.append((steps, steps, {"loss": float(steps)}))
        recorder.wake()
        steps += 1

    if when_full == "raise":
        with pytest.raises(Unavailable, match="nothing takes them"):
            for _ in range(5_000):
                log()
    else:
        for _ in range(60):
            log()
    with pytest.raises(Unavailable, match="not written yet"):
        for _ in range(200):
            recorder.buffer.extend([(steps + n, steps + n, {"loss": 0.0}) for n in range(40)])
            steps += 40
            recorder.settle(0.05)
    assert sum(path.stat().st_size for _, path in segments(recorder.folder)) < 6_000
    # As when the destination takes it.
    recorder.acknowledge(1 << 40)
    recorder.settle(10)
    recorder.stop()
    recorder.close()
    frames = [msgspec.msgpack.decode(payload, type=Frame) for payload in read(recorder.folder)]
    assert [row.step for frame in frames for row in frame.logged] == list(range(steps))


@pytest.mark.parametrize("link", [False, True])
def test_a_forged_spool_sends_and_removes_no_file_of_others(
    workspace: Workspace, me: Actor, tmp_path: Path, *, link: bool
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    destination = InWorkspace(workspace, me)
    run = new_id().replace("-", "")
    facts = {"spool.json": msgspec.json.encode(facts_of(run, begun=False, actor="me", address=""))}
    name = "000001" if link else str(secret)
    writer = SpoolWriter(destination.spools, MAGIC, facts=facts)
    for frame in (Frame(begun=Begun(experiment="e", at=NOW)), Frame(file=FileNote(path="taken", waiting=name))):
        writer.append(bytearray(HEADER.size) + msgspec.msgpack.encode(frame))
    if link:
        (writer.folder / "files").mkdir()
        (writer.folder / "files" / name).symlink_to(secret)
    writer.close()
    (told,) = deliver_waiting(destination)
    assert told.waiting
    assert "file" in told.trouble
    assert secret.read_text() == "mine"
    assert not any(path.name == "taken" for path in workspace.root.rglob("*"))


def test_what_is_no_segment_holds_nothing_up(tmp_path: Path) -> None:
    writer = spooled(tmp_path, [b"x"])
    writer.close()
    (writer.folder / "notes.log").write_text("x")
    assert read(writer.folder) == [b"x"]


def test_a_spool_is_for_its_owner_alone(tmp_path: Path) -> None:
    writer = spooled(tmp_path / "spools", [b"x"])
    writer.close()
    assert writer.folder.stat().st_mode & 0o077 == 0
