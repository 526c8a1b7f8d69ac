"""The process of a model by itself: what a bad row costs the others, and its end, whatever holds it open."""

import asyncio
import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from odd_models import ODD, Counting, Forking, packaged

from kept.core.errors import KeptError, Unavailable
from kept.packaging.bundle import read_bundle
from kept.serving.children.bounds import end_group
from kept.serving.children.child import Asked
from kept.serving.children.messages import Answers, Ask, Duty, Inbox, packed
from kept.serving.children.pool import Declared, Pool, ProcessCounts
from kept.serving.children.process import Process
from kept.testing.jobs import alive, until

MANY = 64


def duty(folder: Path) -> Duty:
    digest = read_bundle(folder).digest
    return Duty(socket=-1, life=-1, folder=str(folder), digest=digest, trusted=True, megabytes=0, quiet=False)


def told(message: bytes) -> tuple[Answers, bytes]:
    ((head, body),) = Inbox(1 << 20).take(message)
    return msgspec.msgpack.decode(head, type=Answers), body


@pytest.mark.parametrize(("bad", "most"), [([], 1), ([0], 13), ([41], 13), ([7, 8, 63], 31), (range(MANY), 127)])
def test_a_bad_row_costs_few_predictions_more(tmp_path: Path, bad: list[int], most: int) -> None:
    assert packaged(Counting(), tmp_path / "bundle") == "pickle-trusted"
    model = Asked(duty(tmp_path / "bundle"))
    # Requests of one, two and three rows; the bad ones are so in their last.
    sizes = [1 + place % 3 for place in range(MANY)]
    rows = np.random.default_rng(1).uniform(100, 1000, (sum(sizes), 2))
    expected = np.frombuffer(told(model.answer(Ask(sizes, 2), rows.tobytes()))[1])
    ends = np.cumsum(sizes)
    rows[[ends[place] - 1 for place in bad], 1] = ODD
    Counting.asked = 0
    answers, body = told(model.answer(Ask(sizes, 2), rows.tobytes()))
    assert Counting.asked <= most
    assert sorted(answers.failed) == list(bad)
    assert all("an odd number" in failure.what for failure in answers.failed.values())
    good = [place for place in range(MANY) if place not in answers.failed]
    parts = [expected[ends[place] - sizes[place] : ends[place]] for place in good]
    np.testing.assert_allclose(np.frombuffer(body), np.concatenate(parts or [np.empty(0)]), rtol=0, atol=1e-12)


def test_it_ends_in_time_though_another_holds_its_socket(tmp_path: Path) -> None:
    model, note = Forking(), tmp_path / "pid"
    model.note = str(note)
    packaged(model, tmp_path / "bundle")
    one = duty(tmp_path / "bundle")
    declared = Declared(seconds=1.0)
    pool = Pool(
        Path(one.folder), one.digest, trusted=True, declared=declared, quiet=False, width=2, counts=ProcessCounts()
    )

    async def asked() -> tuple[Answers, bytes] | KeptError:
        free = asyncio.Event()
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        pool.attach(free.set)
        await asyncio.wait_for(free.wait(), 60)
        question = packed(Ask([1], 2), np.array([700.0, ODD]).tobytes())
        pool.ask(question, 1, lambda outcome, _: answered.set_result(outcome))
        return await asyncio.wait_for(answered, 60)

    try:
        outcome = asyncio.run(asked())
        # What a model has started ends with it.
        until(lambda: not alive(int(note.read_text())))
    finally:
        pool.end()
        with suppress(OSError):
            os.kill(int(note.read_text()), signal.SIGKILL)
    assert isinstance(outcome, Unavailable)
    assert "took longer than 1 s" in outcome.what


STARTING = """
import subprocess, sys
from kept.serving.children.bounds import end_with
end_with(int(sys.argv[1]))
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard > 0 else 4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("number", [3, 1500], ids=["few files", "many files"])
@pytest.mark.parametrize("how", ["the service goes", "it is ended", "it has gone before"])
def test_what_it_has_started_ends_with_it(how: str, number: int) -> None:
    lowest, life = os.pipe()
    reading = fcntl.fcntl(lowest, fcntl.F_DUPFD_CLOEXEC, number)
    os.close(lowest)
    with subprocess.Popen(
        [sys.executable, "-c", STARTING, str(reading)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[reading],
    ) as process:
        os.close(reading)
        assert process.stdout is not None
        assert process.stdin is not None
        other = int(process.stdout.readline())
        assert alive(other)
        if how == "it has gone before":
            process.kill()
            process.wait(60)
            assert alive(other)
        if how != "the service goes":
            end_group(process.pid)
        else:
            os.close(life)
        process.wait(60)
        until(lambda: not alive(other))
    if how != "the service goes":
        os.close(life)


def test_a_number_that_another_process_may_have_is_not_ended_again(tmp_path: Path) -> None:
    one = Duty(socket=-1, life=-1, folder=str(tmp_path), digest="", trusted=False, megabytes=0, quiet=False)
    process = Process(one)
    process.end()
    with subprocess.Popen(["sleep", "600"], process_group=0) as other:
        # As if the system had given it the number of the one that has ended.
        process.pid = other.pid
        process.end()
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        other.kill()


def test_without_room_for_its_files_it_is_not_started_and_leaves_nothing_open(tmp_path: Path) -> None:
    # By itself: here, others open and close files meanwhile.
    script = Path(__file__).parent / "scripts" / "start_without_room.py"
    run = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=300, check=True)
    assert run.stdout.splitlines() == ["Unavailable: []"] * 6, run
