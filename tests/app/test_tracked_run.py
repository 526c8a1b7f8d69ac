"""What training code logs into a workspace of this machine."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kept
from kept.app.connection import Connection, Embedded
from kept.app.tracked.destination import InWorkspace
from kept.app.tracked.waiting import deliver_waiting
from kept.app.workspace import embedded_actor, open_workspace
from kept.core.errors import Invalid, Unavailable
from kept.settings.settings import Settings
from kept.tracking.artifacts import ListArtifacts, list_artifacts
from kept.tracking.finding import metric_history
from kept.tracking.requests import MetricHistory
from kept.tracking.run import RunDetail, RunStatus
from kept.tracking.runs import ListRuns, ShowRun, list_runs, show_run


class Place:
    """A folder in which training code runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / ".kept"

    @property
    def connection(self) -> Connection:
        settings = Settings(workspace=str(self.root))
        return Embedded(open_workspace(settings), embedded_actor(settings, "python"))

    def run(self, run: str) -> RunDetail:
        return self.connection.call(show_run, ShowRun(run=run))

    def values(self, run: str, name: str) -> list[float]:
        found = self.connection.call(metric_history, MetricHistory(run=run, name=name)).points
        return [point.value for point in sorted(found, key=lambda point: point.step)]

    def spools(self) -> list[Path]:
        return [path for path in (self.root / "logged").iterdir() if path.is_dir()]

    def deliver(self) -> int:
        settings = Settings(workspace=str(self.root))
        destination = InWorkspace(open_workspace(settings), embedded_actor(settings, "python"))
        return sum(one.frames for one in deliver_waiting(destination))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KEPT_")]:
        monkeypatch.delenv(name)
    return Place(tmp_path)


def test_a_run_is_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    with kept.track("churn", name="trees", seed=3, params={"depth": 4, "how": "exact"}, tags={"stage": "try"}) as run:
        run.params(rate=0.1, layers=[1, 2])
        for step in range(5):
            run.log(loss=1 / (step + 1), step=step)
        run.log({"val/accuracy": 1})
        run.tag(best=True)
    found = place.run(run.id)
    assert (found.run.name, found.run.status, found.run.seed, found.run.kind) == ("trees", "finished", 3, "logged")
    assert found.params == {"depth": "4", "how": "exact", "layers": "[1,2]", "rate": "0.1", "seed": "3"}
    assert found.run.tags == {"mlflow.runName": "trees", "stage": "try", "best": "true"}
    assert place.values(run.id, "loss") == [1 / (step + 1) for step in range(5)]
    # Without a step it is the one after the last.
    assert [(point.name, point.step) for point in found.latest] == [("loss", 4), ("val/accuracy", 5)]
    assert place.spools() == []
    assert caplog.text == ""


def test_values_of_any_kind_of_number_and_those_that_are_none(place: Place) -> None:
    with kept.track("churn") as run:
        run.log(a=math.nan, b=math.inf, c=-math.inf, d=True, e=7)
        with pytest.raises(Invalid, match="is not a number"):
            run.log(a="much")  # type: ignore[arg-type] # what people do
        with pytest.raises(Invalid, match="Names may only contain"):
            run.log({"a\n": 1.0})
        with pytest.raises(Invalid, match="whole number"):
            run.log(a=1.0, step=0.5)  # type: ignore[arg-type] # what people do
        with pytest.raises(Invalid, match="64 bits"):
            run.log(a=1.0, step=2**63)
        run.params(a=1, odd="a\0b\ud800", strange={1, 2}.__class__)
        with pytest.raises(Invalid, match="cannot become"):
            run.params(a=2)
    assert place.run(run.id).params == {"a": "1", "odd": "a\ufffdb?", "strange": "<class 'set'>"}
    found = {point.name: point.value for point in place.run(run.id).latest}
    assert math.isnan(found.pop("a"))
    assert found == {"b": math.inf, "c": -math.inf, "d": 1.0, "e": 7.0}


def test_a_name_and_its_value_may_be_given_as_two(place: Place) -> None:
    with kept.track("churn") as run:
        run.log("loss", 0.5, step=3)
        run.log("loss", 0.25, accuracy=0.75)
        run.params("depth", 4)
        run.params("layers", None)
        run.tag("stage", "exploring")
    found = place.run(run.id)
    assert {(one.name, one.value, one.step) for one in found.latest} == {("loss", 0.25, 4), ("accuracy", 0.75, 4)}
    assert place.values(run.id, "loss") == [0.5, 0.25]
    assert (found.params["depth"], found.params["layers"]) == ("4", "null")
    assert found.run.tags["stage"] == "exploring"


def test_whatever_can_be_spread_is_a_mapping(place: Place) -> None:
    class Row:
        """As one of a data frame of pandas: its values are gone through, not its names, and it is neither true nor false."""

        def keys(self) -> list[str]:
            return ["loss", "accuracy"]

        def __getitem__(self, name: str) -> float:
            return {"loss": 0.5, "accuracy": 0.75}[name]

        def __bool__(self) -> bool:
            raise ValueError("ambiguous")

    row: Any = Row()
    with kept.track("churn") as run:
        run.log(row)
        run.params(row)
    found = place.run(run.id)
    assert found.metrics == {"loss": 0.5, "accuracy": 0.75}
    assert {name: found.params[name] for name in ("loss", "accuracy")} == {"loss": "0.5", "accuracy": "0.75"}


def test_what_has_no_name_or_no_value_is_told_how_to_write_it(place: Place) -> None:
    wrong: list[tuple[Any, ...]] = [("loss",), (0.5,), ({"loss": 0.5}, 3), (None, 0.5)]
    with kept.track("churn") as run:
        for given in wrong:
            for call in (run.log, run.params, run.tag):
                with pytest.raises(Invalid, match="names with their values") as told:
                    call(*given)
                assert told.value.fix is not None
                assert f'{call.__name__}("loss", 0.5)' in told.value.fix


def test_an_error_ends_the_run_as_failed_and_is_not_hidden(place: Place) -> None:
    with pytest.raises(ZeroDivisionError), kept.track("churn") as run:
        run.log(loss=1 / 0)
    found = place.run(run.id).run
    assert (found.status, found.error) == (RunStatus.FAILED, "ZeroDivisionError: division by zero")
    with pytest.raises(KeyboardInterrupt), kept.track("churn") as run:
        raise KeyboardInterrupt
    assert place.run(run.id).run.status is RunStatus.CANCELLED


def test_nothing_is_taken_after_the_end(place: Place) -> None:
    with kept.track("churn") as run:
        run.log(loss=1.0)
    late_calls: list[Callable[[], None]] = [lambda: run.log(loss=2.0), lambda: run.tag(late=True), run.flush]
    for late in late_calls:
        with pytest.raises(Unavailable, match="is ended"):
            late()
    run.end("failed")
    assert place.run(run.id).run.status is RunStatus.FINISHED


def test_flush_waits_until_it_is_in_the_workspace(place: Place) -> None:
    with kept.track("churn") as run:
        for step in range(3_000):
            run.log(loss=float(step), step=step)
        run.flush()
        assert place.values(run.id, "loss") == [float(step) for step in range(3_000)]
        assert place.run(run.id).run.status is RunStatus.RUNNING


def test_files_and_folders_are_kept_as_they_were(place: Place) -> None:
    (place.folder / "plots" / "deep").mkdir(parents=True)
    (place.folder / "plots" / "deep" / "roc.txt").write_text("curve")
    model = place.folder / "model.bin"
    model.write_bytes(b"first")
    with kept.track("churn") as run:
        run.artifact(model)
        model.write_bytes(b"second")
        run.artifact(model, "later/model.bin")
        run.artifact("plots")
        with pytest.raises(Invalid, match="no such file"):
            run.artifact("nothing")
        with pytest.raises(Invalid, match="Invalid path"):
            run.artifact(model, "../out")
    root = place.run(run.id).run.artifact_location.removeprefix("mlflow-artifacts:/")
    files = place.root / "artifacts" / "files" / root
    assert (files / "model.bin").read_bytes() == b"first"
    assert (files / "later" / "model.bin").read_bytes() == b"second"
    assert (files / "plots" / "deep" / "roc.txt").read_text() == "curve"
    listed = place.connection.call(list_artifacts, ListArtifacts(path=root))
    assert [one.path.rsplit("/", 1)[1] for one in listed] == ["later", "model.bin", "plots"]


def test_a_file_for_which_there_is_no_room_is_sent_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT_SPOOL_MEGABYTES", "1")
    (place.folder / "large").write_bytes(b"x" * (2 << 20))
    with kept.track("churn") as run:
        run.artifact("large")
        root = place.run(run.id).run.artifact_location.removeprefix("mlflow-artifacts:/")
        assert (place.root / "artifacts" / "files" / root / "large").stat().st_size == 2 << 20


def test_what_is_refused_is_told_at_the_end_and_kept_aside(place: Place) -> None:
    with kept.track("churn") as first:
        first.params(rate=1)
        first.flush()
        other = kept.track(run=first.id)
        other.params(rate=2)
        other.log(loss=1.0, step=0)
        with pytest.raises(Invalid, match="Changing param values"):
            other.end()
    assert place.values(first.id, "loss") == [1.0]
    # Another's end does not end the run.
    assert place.run(first.id).run.status is RunStatus.FINISHED
    (spool,) = place.spools()
    assert b'"rate":"2"' in (spool / "refused.jsonl").read_bytes()


def test_the_child_of_a_fork_logs_for_itself(place: Place) -> None:
    def child(run: kept.TrackedRun) -> None:
        run.log(child=1.0, step=1)
        run.flush()
        os._exit(0)

    with kept.track("churn") as run:
        for step in range(500):
            run.log(parent=float(step), step=step)
        process = multiprocessing.get_context("fork").Process(target=child, args=(run,))
        process.start()
        process.join(60)
        assert process.exitcode == 0
        run.log(parent=500.0, step=500)
        run.flush()
        assert place.run(run.id).run.status is RunStatus.RUNNING
    assert place.values(run.id, "parent") == [float(step) for step in range(501)]
    assert place.values(run.id, "child") == [1.0]


def test_neither_or_both_of_experiment_and_run_are_refused(place: Place) -> None:
    for given in ({}, {"experiment": "a", "run": "b"}):
        with pytest.raises(Invalid, match="either"):
            kept.track(**given)  # type: ignore[arg-type] # what people do


KILLED = """
import os, signal, sys, kept
run = kept.track("churn", name="killed")
for step in range(20_000):
    run.log(loss=float(step), step=step)
run._recorder.settle()
print(run.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_logged_is_delivered_by_the_next(place: Place) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    killed = done.stdout.strip()
    with kept.track("churn") as run:
        run.log(loss=1.0)
        run.flush()
        deadline = time.monotonic() + 60
        while len(place.spools()) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert place.values(killed, "loss") == [float(step) for step in range(20_000)]
    found = place.run(killed).run
    assert (found.status, found.error) == (RunStatus.FAILED, "the process that logged it ended without a word")
    assert place.deliver() == 0


FORGOTTEN = """
import kept
run = kept.track("churn", name="forgotten")
run.log(loss=1.0)
{last}
"""


@pytest.mark.parametrize(("last", "status"), [("", "finished"), ("1 / 0", "failed")])
def test_a_run_that_is_not_ended_ends_with_the_process(place: Place, last: str, status: str) -> None:
    subprocess.run([sys.executable, "-c", FORGOTTEN.format(last=last)], capture_output=True, timeout=60, check=False)
    (found,) = place.connection.call(list_runs, ListRuns())
    assert found.status == status
    assert place.values(found.id, "loss") == [1.0]


WRITER = """
import sys, kept
with kept.track("together", seed=int(sys.argv[1])) as run:
    for step in range(2_000):
        run.log(loss=float(step), step=step)
"""


def test_eight_processes_log_into_one_workspace(place: Place) -> None:
    open_workspace(Settings(workspace=str(place.root)))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(seed)], stderr=subprocess.PIPE) for seed in range(8)]
    said = [writer.communicate(timeout=100)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 8, said
    runs = place.connection.call(list_runs, ListRuns())
    assert {run.seed for run in runs} == set(range(8))
    for run in runs:
        assert place.values(run.id, "loss") == [float(step) for step in range(2_000)]
    assert place.spools() == []
