import dataclasses
import io
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import polars as pl
import pytest
from bench import Bench
from sqlalchemy import Connection

from kept.core.errors import Away, CheckFailed, Conflict, NotFound
from kept.governance.actor import Actor
from kept.pipelines.catalog import ShowLog, failure_of, output_of, show_log
from kept.pipelines.codec import Codec
from kept.pipelines.run_step import RunStep, StepStatus
from kept.pipelines.runner import Runner
from kept.pipelines.stage import UNCHANGED
from kept.store.sqlite import SqliteDatabase
from kept.testing.jobs import until
from kept.tracking.environment import load_environment
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import CancelRun, cancel_run, get_run
from kept.tracking.snapshot import load_snapshot

CHAIN = """
    import polars as pl
    from helpers import scaled

    LIMIT = 10

    class Rule:
        keep = 2

    def rows(count: int) -> pl.DataFrame:
        print("making", count)
        return pl.DataFrame({"x": range(count)})

    def some(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.head(min(LIMIT, Rule.keep))

    def total(some: pl.DataFrame, context) -> float:
        context.progress(1, 2, "half")
        return scaled(float(some["x"].sum()))

    STEPS = [{"name": "total"}, {"name": "some"}, {"name": "rows"}]
"""
HELPERS = """
    FACTOR = 1

    def scaled(x):
        return x * FACTOR
"""


def _statuses(steps: dict[str, RunStep]) -> dict[str, str]:
    return {name: step.status.value for name, step in steps.items()}


def test_a_chain_runs_and_is_recorded(bench: Bench, me: Actor) -> None:
    bench.write(CHAIN)
    bench.write(HELPERS, "helpers.py")
    with bench.runner() as runner:
        run, steps = bench.run(runner, count=4)
    assert run.status is RunStatus.FINISHED
    assert list(steps) == ["rows", "some", "total"]
    assert _statuses(steps) == dict.fromkeys(steps, "finished")
    assert steps["total"].message == "half"
    assert (steps["total"].done, steps["total"].total) == (1, 2)
    codec = Codec(bench.workspace.blobs, bench.folder)
    assert codec.load(output_of(bench.workspace, run.id, "total"), float, where="test") == 1.0
    assert codec.load(output_of(bench.workspace, run.id, "rows"), pl.DataFrame, where="test").height == 4
    assert show_log(bench.workspace, me, ShowLog(run=run.id, step="rows")) == "making 4\n"
    assert show_log(bench.workspace, me, ShowLog(run=run.id, step="rows", bytes=2)) == "4\n"
    assert show_log(bench.workspace, me, ShowLog(run=run.id, step="some")) == ""
    with pytest.raises(NotFound):
        show_log(bench.workspace, me, ShowLog(run=run.id, step="nothing"))
    assert run.code is not None
    assert run.environment is not None
    snapshot = load_snapshot(bench.workspace.blobs, run.code)
    assert [file.path for file in snapshot.files] == ["helpers.py", "project.py"]
    assert load_environment(bench.workspace.blobs, run.environment).packages["dbos"]
    assert not (bench.workspace.root / "runs" / run.id).exists()


def test_only_what_changed_is_run_again(bench: Bench) -> None:
    bench.write(CHAIN)
    bench.write(HELPERS, "helpers.py")
    with bench.runner() as runner:
        _, first = bench.run(runner, count=4)
        _, again = bench.run(runner, count=4)
        assert _statuses(again) == {"rows": "cached", "some": "cached", "total": "cached"}
        assert {step.message for step in again.values()} == {UNCHANGED}
        assert again["total"].output == first["total"].output
        # A helper in another module, a constant there, a constant, a class, an input, a version.
        bench.write(HELPERS.replace("x * FACTOR", "x * FACTOR + 1"), "helpers.py")
        run, steps = bench.run(runner, count=4)
        assert _statuses(steps) == {"rows": "cached", "some": "cached", "total": "finished"}
        codec = Codec(bench.workspace.blobs, bench.folder)
        assert codec.load(output_of(bench.workspace, run.id, "total"), float, where="test") == 2.0
        bench.write(HELPERS.replace("FACTOR = 1", "FACTOR = 5"), "helpers.py")
        run, steps = bench.run(runner, count=4)
        assert codec.load(output_of(bench.workspace, run.id, "total"), float, where="test") == 5.0
        bench.write(CHAIN.replace("keep = 2", "keep = 3"))
        _, steps = bench.run(runner, count=4)
        assert _statuses(steps) == {"rows": "cached", "some": "finished", "total": "finished"}
        bench.write(CHAIN.replace("LIMIT = 10", "LIMIT = 1"))
        assert bench.run(runner, count=4)[1]["some"].status is StepStatus.FINISHED
        bench.write(CHAIN)
        _, steps = bench.run(runner, count=5)
        # `some` gives the same two rows for five as for four: what comes after it need not run.
        assert _statuses(steps) == {"rows": "finished", "some": "finished", "total": "cached"}
        bench.write(CHAIN.replace('{"name": "some"}', '{"name": "some", "version": "2"}'))
        assert bench.run(runner, count=4)[1]["some"].status is StepStatus.FINISHED
        bench.write(CHAIN.replace('{"name": "some"}', '{"name": "some", "cache": False}'))
        assert bench.run(runner, count=4)[1]["some"].status is StepStatus.FINISHED
        assert bench.run(runner, count=4)[1]["some"].status is StepStatus.FINISHED
        _, steps = bench.run(runner, fresh=True, count=4)
        assert _statuses(steps) == dict.fromkeys(steps, "finished")


def test_a_failed_step_fails_the_run_and_names_itself(bench: Bench, me: Actor) -> None:
    bench.write(
        """
        from kept.core.errors import CheckFailed

        def first() -> int:
            return 1

        def gate(first: int) -> int:
            print("looking")
            raise CheckFailed("AUC is 0.5", where="gate", fix="Train better")

        def after(gate: int) -> int:
            return gate

        STEPS = [{"name": "first"}, {"name": "gate", "retries": 3}, {"name": "after"}]
        """
    )
    with bench.runner() as runner:
        run, steps = bench.run(runner)
        assert run.status is RunStatus.FAILED
        assert run.error == "step gate: gate: AUC is 0.5. Train better"
        assert _statuses(steps) == {"first": "finished", "gate": "failed", "after": "skipped"}
        assert steps["gate"].attempt == 1
        assert isinstance(failure_of(bench.workspace, run.id), CheckFailed)
        assert not (bench.workspace.root / "runs" / run.id).exists()
        log = show_log(bench.workspace, me, ShowLog(run=run.id, step="gate"))
        assert log.startswith("looking\nTraceback")
        with pytest.raises(Conflict):
            runner.cancel(run.id)
        # The next run is not held back by it.
        bench.write("def first() -> int:\n    return 1\n\nSTEPS = [{'name': 'first'}]\n")
        assert bench.run(runner)[0].status is RunStatus.FINISHED


def test_what_may_pass_is_tried_again(bench: Bench, me: Actor) -> None:
    bench.write(
        """
        import os, signal, time
        from pathlib import Path

        def shaky(folder: str, context) -> int:
            tries = len(list(Path(folder).glob("try*")))
            (Path(folder) / f"try{tries}").touch()
            if tries == 0:
                raise ValueError("not now")
            if tries == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if tries == 2:
                time.sleep(600)
            return context.attempt

        STEPS = [{"name": "shaky", "retries": 3, "timeout": 5}]
        """
    )
    with bench.runner() as runner:
        run, steps = bench.run(runner, folder=str(bench.folder))
        assert run.status is RunStatus.FINISHED
        assert steps["shaky"].attempt == 4
        assert steps["shaky"].message == "tried again: it took longer than 5 s"
        log = show_log(bench.workspace, me, ShowLog(run=run.id, step="shaky"))
        assert "ValueError: not now" in log
        assert "--- attempt 4 ---" in log
        bench.write(
            "import os\n\ndef leaves() -> int:\n    os._exit(1)\n\nSTEPS = [{'name': 'leaves', 'retries': 1}]\n"
        )
        run, steps = bench.run(runner)
        assert run.status is RunStatus.FAILED
        assert steps["leaves"].attempt == 2
        assert "exit code 1" in (run.error or "")


def test_steps_that_do_not_need_each_other_run_at_once(bench: Bench) -> None:
    bench.write(
        """
        import time
        from pathlib import Path

        def meet(folder, mine, other):
            (Path(folder) / mine).touch()
            deadline = time.monotonic() + 60
            while not (Path(folder) / other).exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            return mine

        def left(folder: str) -> str:
            return meet(folder, "l", "r")

        def right(folder: str) -> str:
            return meet(folder, "r", "l")

        def both(left: str, right: str) -> str:
            return left + right

        STEPS = [{"name": "both"}, {"name": "left"}, {"name": "right"}]
        """
    )
    with bench.runner() as runner:
        run, _ = bench.run(runner, folder=str(bench.folder))
    assert run.status is RunStatus.FINISHED


SLOW = """
    import time
    from pathlib import Path

    def before() -> int:
        return 1

    def slow(before: int, context, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        number = 0
        while time.monotonic() < deadline:
            number += 1
            context.progress(number, text=f"row {number}")
            time.sleep(0.05)
        return before

    def after(slow: int) -> int:
        return slow

    STEPS = [{"name": "before"}, {"name": "slow"}, {"name": "after"}]
"""


def test_progress_is_seen_live_and_a_cancelled_run_ends(bench: Bench, me: Actor) -> None:
    bench.write(SLOW)
    with bench.runner() as runner:
        run = bench.queue(seconds=600)
        runner.tick()
        until(lambda: (bench.steps(run).get("slow") or RunStep(run_id="", step="", position=0)).done is not None)
        step = bench.steps(run)["slow"]
        assert step.status is StepStatus.RUNNING
        assert (step.message or "").startswith("row ")
        assert runner.active() == [run.id]
        # Somebody cancels it through another process: only the row changes.
        begun = time.monotonic()
        cancel_run(bench.workspace, me, CancelRun(run=run.id, reason="wrong month"))
        runner.tick()
        ended = runner.wait(run.id, 120)
        # The step would go on for ten minutes.
        assert time.monotonic() - begun < 300
        assert ended.status is RunStatus.CANCELLED
        assert ended.error == "cancelled by ada: wrong month"
        assert _statuses(bench.steps(run)) == {"before": "finished", "slow": "skipped", "after": "skipped"}
        queued = bench.queue(seconds=0)
        cancel_run(bench.workspace, me, CancelRun(run=queued.id))
        runner.tick()
        runner.submit(queued)
        assert runner.wait(queued.id, 120).status is RunStatus.CANCELLED
        assert bench.steps(queued) == {}


def test_a_stopped_worker_goes_on_where_it_was(bench: Bench) -> None:
    bench.write(SLOW)
    run = bench.queue(seconds=4)
    with bench.runner() as runner:
        runner.tick()
        until(lambda: "slow" in bench.steps(run) and bench.steps(run)["slow"].status is StepStatus.RUNNING)
    assert get_run(bench.workspace, run.id).status is RunStatus.RUNNING
    steps = bench.steps(run)
    assert _statuses(steps) == {"before": "finished", "slow": "waiting", "after": "waiting"}
    first = steps["before"]
    with bench.runner() as runner:
        assert runner.wait(run.id, 120).status is RunStatus.FINISHED
    steps = bench.steps(run)
    assert steps["before"] == first
    assert steps["slow"].attempt == 2


def test_code_that_changed_while_the_worker_was_down_is_run_again(bench: Bench) -> None:
    bench.write(SLOW)
    run = bench.queue(seconds=1.0)
    with bench.runner() as runner:
        runner.tick()
        until(lambda: "slow" in bench.steps(run) and bench.steps(run)["slow"].status is StepStatus.RUNNING)
    bench.write(SLOW.replace("return 1", "return 2"))
    with bench.runner() as runner:
        assert runner.wait(run.id, 120).status is RunStatus.FINISHED
    codec = Codec(bench.workspace.blobs, bench.folder)
    assert codec.load(output_of(bench.workspace, run.id, "after"), int, where="test") == 2
    assert bench.steps(run)["before"].attempt == 2


def test_an_output_that_was_deleted_or_damaged_is_made_again(bench: Bench) -> None:
    bench.write(CHAIN)
    bench.write(HELPERS, "helpers.py")
    kept = bench.workspace.root / "blobs" / "sha256"
    with bench.runner() as runner:
        _, steps = bench.run(runner, count=4)
        manifest = (steps["rows"].output or "").removeprefix("sha256:")
        content = json.loads((kept / manifest[:2] / manifest[2:]).read_bytes())["content"].removeprefix("sha256:")
        (kept / content[:2] / content[2:]).unlink()
        _, deleted = bench.run(runner, count=4)
        (kept / manifest[:2] / manifest[2:]).write_bytes(b"")
        _, damaged = bench.run(runner, count=4)
        _, again = bench.run(runner, count=4)
    assert _statuses(deleted) == _statuses(damaged) == {"rows": "finished", "some": "cached", "total": "cached"}
    assert _statuses(again) == dict.fromkeys(("rows", "some", "total"), "cached")


def test_a_lost_ledger_costs_nothing(bench: Bench) -> None:
    bench.write(SLOW)
    run = bench.queue(seconds=1.0)
    with bench.runner() as runner:
        runner.tick()
        until(lambda: "slow" in bench.steps(run) and bench.steps(run)["slow"].status is StepStatus.RUNNING)
    for file in bench.workspace.root.glob("pipelines.db*"):
        file.unlink()
    with bench.runner() as runner:
        assert runner.wait(run.id, 120).status is RunStatus.FINISHED
    assert bench.steps(run)["before"].attempt == 1


class Leaving(SqliteDatabase):
    """A database that cannot be reached for a moment, which the next write meets."""

    away = False

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if self.away:
            self.away = False
            raise Away("the database cannot be used", where="kept.db")
        with super().writing() as connection:
            yield connection


def _tick_until_ended(runner: Runner, run: Run) -> None:
    """As a worker does: again and again, since a run is put on its way only once the engine has let go of it."""

    def ended() -> bool:
        runner.tick()
        return runner.wait(run.id, 0).status.ended

    until(ended, 120)


def test_a_run_goes_on_where_it_was_when_the_database_was_away(bench: Bench) -> None:
    database = Leaving(bench.workspace.root / "kept.db")
    bench.workspace = dataclasses.replace(bench.workspace, database=database)
    bench.write(SLOW)
    run = bench.queue(seconds=1.0)
    with bench.runner() as runner:
        runner.tick()
        until(lambda: "slow" in bench.steps(run) and bench.steps(run)["slow"].status is StepStatus.RUNNING)
        database.away = True
        until(lambda: not runner.active())
        assert get_run(bench.workspace, run.id).status is RunStatus.RUNNING
        _tick_until_ended(runner, run)
    assert get_run(bench.workspace, run.id).status is RunStatus.FINISHED
    assert _statuses(bench.steps(run)) == dict.fromkeys(("before", "slow", "after"), "finished")
    assert bench.steps(run)["before"].attempt == 1


def test_a_run_goes_on_though_the_engine_could_not_note_that_it_was_let_go_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kept.pipelines.runner._NOTING_SECONDS", 0.5)
    database = Leaving(bench.workspace.root / "kept.db")
    bench.workspace = dataclasses.replace(bench.workspace, database=database)
    bench.write(SLOW)
    run = bench.queue(seconds=1.0)
    with bench.runner() as runner, closing(sqlite3.connect(bench.workspace.root / "pipelines.db")) as ledger:
        runner.tick()
        until(lambda: "slow" in bench.steps(run) and bench.steps(run)["slow"].status is StepStatus.RUNNING)
        ledger.execute(
            "CREATE TRIGGER full BEFORE UPDATE OF status ON workflow_status BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        database.away = True
        until(lambda: not runner.active())
        # Long enough for what comes behind: the engine tries to note the end.
        time.sleep(0.5)
        ledger.execute("DROP TRIGGER full")
        _tick_until_ended(runner, run)
    found = get_run(bench.workspace, run.id)
    assert found.status is RunStatus.FINISHED, found.error


def test_a_step_that_could_not_reach_the_database_is_done_again(bench: Bench) -> None:
    bench.write(
        """
        from kept.core.errors import Away

        def shaky(context) -> int:
            if context.attempt < 3:
                raise Away("the database cannot be used")
            return context.attempt

        STEPS = [{"name": "shaky"}]
        """
    )
    with bench.runner() as runner:
        run = bench.queue()
        _tick_until_ended(runner, run)
    assert _statuses(bench.steps(run)) == {"shaky": "finished"}
    assert bench.steps(run)["shaky"].attempt == 3


def test_a_project_that_can_not_be_read_fails_the_run(bench: Bench) -> None:
    bench.write("def broken(:\n")
    with bench.runner() as runner:
        run, _ = bench.run(runner)
        assert run.status is RunStatus.FAILED
        assert "SyntaxError" in (run.error or "")
        bench.write("def lost(rwos: int) -> int:\n    return rwos\n\nSTEPS = [{'name': 'lost'}]\n")
        run, _ = bench.run(runner, rows=1)
        assert "nothing gives its parameter 'rwos'" in (run.error or "")
        assert "'rows'" in (run.error or "")
        bench.write("def late() -> int:\n    import halves\n    return 1\n\nSTEPS = [{'name': 'late'}]\n")
        bench.write("def half(:\n", "halves.py")
        run, steps = bench.run(runner)
        assert run.status is RunStatus.FAILED
        assert "halves.py" in (run.error or "")
        assert steps["late"].status is StepStatus.FAILED


def test_one_worker_at_a_time(bench: Bench) -> None:
    bench.write(SLOW)
    worker = bench.worker()
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    second = bench.runner()
    with pytest.raises(Conflict, match="another worker"):
        second.start()
    worker.kill()
    worker.wait()
    with bench.runner() as third:
        with pytest.raises(Conflict, match="this process runs"):
            bench.runner().start()
        assert bench.run(third, seconds=0)[0].status is RunStatus.FINISHED


def test_many_runs_at_once_all_end(bench: Bench) -> None:
    bench.write(CHAIN)
    bench.write(HELPERS, "helpers.py")
    with bench.runner() as runner:
        runs = [bench.queue(count=number) for number in range(8)]
        threads = [threading.Thread(target=runner.tick) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {runner.wait(run.id, 120).status for run in runs} == {RunStatus.FINISHED}
        assert runner.active() == []


def test_a_closed_stream_of_an_earlier_launch_stops_nothing(bench: Bench) -> None:
    closed = io.StringIO()
    closed.close()
    logging.getLogger("dbos").addHandler(logging.StreamHandler(closed))
    with bench.runner() as runner:
        assert runner.active() == []
