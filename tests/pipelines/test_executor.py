"""What is so of this executor only; what every executor does is in its conformance kit."""

from pathlib import Path

from kept.pipelines.executor import ProcessExecutor
from kept.testing.jobs import Jobs, alive, until


def test_processes_stay_warm(tmp_path: Path) -> None:
    executor = ProcessExecutor(2)
    jobs = Jobs(executor, tmp_path)
    pid = jobs.value("dirty")
    assert jobs.value("pid") == pid
    jobs.value("helped")
    jobs.write_helper(22)
    jobs.value("helped")
    assert jobs.value("pid") == pid
    executor.close()
    assert not alive(pid)


def test_idle_processes_end(tmp_path: Path) -> None:
    executor = ProcessExecutor(1, idle_seconds=0.2)
    jobs = Jobs(executor, tmp_path)
    pid = jobs.value("pid")
    assert executor.processes() == [pid]
    until(lambda: not alive(pid))
    assert executor.processes() == []
    assert jobs.value("pid") != pid
    executor.close()
