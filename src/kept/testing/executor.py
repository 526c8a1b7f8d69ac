"""The conformance kit of `kept.pipelines.executor.Executor`. Needs pytest, and processes of this machine (Linux)."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from kept.core.errors import CheckFailed
from kept.pipelines.executor import Executor
from kept.pipelines.job import Cause, Failure, Job, Outcome, Progress
from kept.testing.jobs import Jobs, alive, pids, until


class ExecutorKit(ABC):
    """What every executor does, as a user of one sees it.

    Another process opens it too, so derive from this at the top of a module.
    """

    @abstractmethod
    def open(self, at_once: int) -> Executor:
        """A new executor that runs so many steps at once, each in a process of this machine."""

    @pytest.fixture
    def jobs(self, tmp_path: Path) -> Iterator[Jobs]:
        """Steps, and an executor of one test that does two at once."""
        jobs = Jobs(self.open(2), tmp_path)
        yield jobs
        jobs.executor.close()

    def test_a_step_runs_elsewhere_with_its_parameters(self, jobs: Jobs) -> None:
        assert jobs.value("pid") != os.getpid()
        assert jobs.value("add", one=1) == 2.5
        assert jobs.value("add", one=1, two=2) == 3
        assert "parameter 'one'" in str(jobs.failure("add", one="much").raised())

    def test_what_it_prints_and_how_far_it_is_comes_through(self, jobs: Jobs) -> None:
        value = jobs.value("told")
        assert value == ["run-1", "flights", "told", 1, 7, "worker", "workspace", True]
        assert jobs.progress[0] == Progress()
        assert jobs.progress[1] == Progress(done=1, total=5, text="row 0")
        assert jobs.progress[-1] == Progress(done=5, total=5, text="row 4")
        assert jobs.log("told") == "a line\nfrom a child process\nan error\n"

    def test_errors_come_back_as_what_they_are(self, jobs: Jobs) -> None:
        failure = jobs.failure("raises")
        assert (failure.cause, failure.what) == (Cause.RAISED, "ValueError: no such month")
        assert failure.may_pass
        log = jobs.log("raises")
        assert 'raise ValueError("no such month")' in log
        assert "work.py" not in log
        failure = jobs.failure("checks")
        error = failure.raised()
        assert isinstance(error, CheckFailed)
        assert str(error) == "gate: AUC is 0.5. Train better"
        assert not failure.may_pass
        assert jobs.failure("exits").what == "SystemExit: 3"
        assert "can not be kept" in jobs.failure("odd").what

    def test_a_dead_process_fails_its_step_only(self, jobs: Jobs) -> None:
        killed, left, crashed = (jobs.failure(step) for step in ("killed", "leaves", "crashes"))
        assert {killed.cause, left.cause, crashed.cause} == {Cause.DIED}
        assert killed.what == "its process was killed, most likely because the machine ran out of memory"
        assert "exit code 7" in left.what
        assert "SIGSEGV" in crashed.what
        assert jobs.value("add", one=1) == 2.5

    def test_a_step_that_runs_out_of_memory_says_so(self, jobs: Jobs) -> None:
        failure = jobs.failure("hungry")
        assert (failure.cause, failure.what) == (Cause.MEMORY, "it ran out of memory")
        assert failure.may_pass
        # The limit went away with the process.
        assert jobs.value("add", one=1) == 2.5

    @pytest.mark.parametrize("step", ["sleeps", "spins"])
    def test_a_timeout_ends_it_and_what_it_started(self, jobs: Jobs, tmp_path: Path, step: str) -> None:
        file = tmp_path / "pids"
        begun = time.monotonic()
        failure = jobs.failure(step, timeout=3, file=str(file))
        assert failure.cause is Cause.TIMEOUT
        assert "longer than 3 s" in failure.what
        assert time.monotonic() - begun < 60
        until(lambda: not any(map(alive, pids(file))))

    def test_cancelling_ends_it_and_what_it_started(self, jobs: Jobs, tmp_path: Path) -> None:
        file, cancelled = tmp_path / "pids", threading.Event()
        ended: list[Outcome] = []
        thread = threading.Thread(
            target=lambda: ended.append(jobs.run("sleeps", cancelled, file=str(file))), daemon=True
        )
        thread.start()
        running = pids(file)
        begun = time.monotonic()
        cancelled.set()
        thread.join(60)
        assert time.monotonic() - begun < 60
        assert isinstance(ended[0], Failure)
        assert ended[0].cause is Cause.CANCELLED
        until(lambda: not any(map(alive, running)))

    def test_only_so_many_run_at_once_and_waiting_ones_can_be_cancelled(self, jobs: Jobs, tmp_path: Path) -> None:
        files = [tmp_path / name for name in ("one", "two", "three")]
        events = [threading.Event() for _ in files]
        outcomes: dict[int, Outcome] = {}

        def run(number: int) -> None:
            outcomes[number] = jobs.run("sleeps", events[number], file=str(files[number]))

        threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(3)]
        for thread in threads[:2]:
            thread.start()
        running = [pid for file in files[:2] for pid in pids(file)]
        threads[2].start()
        # Each says at once that it has a place.
        until(lambda: len(jobs.progress) >= 2)
        time.sleep(0.3)
        assert jobs.progress == [Progress()] * 2
        events[2].set()
        threads[2].join(60)
        assert isinstance(outcomes[2], Failure)
        assert not files[2].exists()
        jobs.executor.close()
        for thread in threads:
            thread.join(60)
        assert all(isinstance(outcomes[number], Failure) for number in range(3))
        until(lambda: not any(map(alive, running)))
        assert jobs.failure("pid").cause is Cause.CANCELLED

    def test_nothing_of_a_step_is_left_for_the_next(self, jobs: Jobs) -> None:
        jobs.value("dirty")
        assert jobs.value("clean") == [None, False, False]
        assert not Path(jobs.value("scratch")).exists()

    def test_code_that_was_edited_is_read_again(self, jobs: Jobs) -> None:
        assert jobs.value("helped") == 1
        jobs.write_helper(22)
        assert jobs.value("helped") == 22

    def test_chance_is_the_same_in_every_process(self, jobs: Jobs, tmp_path: Path) -> None:
        first = [jobs.value("drawn"), jobs.value("hashed")]
        other = Jobs(self.open(1), tmp_path)
        try:
            assert [other.value("drawn"), other.value("hashed")] == first
        finally:
            other.executor.close()

    @pytest.mark.parametrize("step", ["sleeps", "spins"])
    def test_when_the_owner_is_killed_so_is_the_step(self, jobs: Jobs, tmp_path: Path, step: str) -> None:
        file = tmp_path / "pids"
        owner = get_context("spawn").Process(target=_own, args=(self.open, jobs.job(step, file=str(file))))
        owner.start()
        running = pids(file)
        assert all(map(alive, running))
        owner.kill()
        owner.join(60)
        until(lambda: not any(map(alive, running)))


def _own(opened: Callable[[int], Executor], job: Job) -> None:
    opened(1).run(job, lambda _: None, threading.Event())
