"""Bad data and bad models: a clear message, the run that fails, and nothing lost of what was there."""

import io
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import trains
from living import ENDPOINT, begin, connect, end, spawn, until

from kept.app.connection import Embedded
from kept.core.errors import CheckFailed, Invalid, KeptError
from kept.data.catalog import ListData, ShowQuarantine, list_data, show_quarantine
from kept.data.version import DatasetVersion
from kept.deployment.catalog import ShowStatus, show_status
from kept.governance.journal import VerifyAudit, verify_audit
from kept.loop.decisions import RetrainNow, retrain
from kept.pipelines.catalog import failure_of
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import ShowRun, show_run

DATASET = "journeys"
GOOD = trains.days(4)
FROM_FILE = """
import kept, polars as pl
from pathlib import Path
from sklearn.ensemble import HistGradientBoostingClassifier

project = kept.Project("trains", question="Late?", owner="me", objectives=[kept.at_least("roc_auc", 0.55)])

@project.dataset(label="late", key="id", event_time="at")
def journeys():
    return pl.read_parquet(Path(__file__).with_name("rows.parquet"))

@project.model(task="binary")
def trees():
    return HistGradientBoostingClassifier(max_iter=20)
"""
MODEL = """
import kept, os, resource, signal, polars as pl, trains
from sklearn.linear_model import LinearRegression

project = kept.Project({name!r}, question="How many?", owner="me", objectives=[kept.at_least("r2", -10)])

@project.dataset(label="people", key="id", event_time="at", features=["size"])
def counts():
    return trains.days(2).with_columns(size=pl.col("people") * 2){change}

@project.model(task="regression")
def line():
    {body}
    return LinearRegression()
"""


@dataclass
class Yard:
    """A workspace with a released version and a worker, and a project whose rows are a file."""

    folder: Path
    connection: Embedded
    worker: subprocess.Popen[bytes]

    def train(self, folder: Path) -> Run:
        """Trains the project of a folder, to the run's end."""
        source = folder / "project.py"
        project = load_project(source)
        ensure_registered(self.connection.workspace, self.connection.actor, project, source)
        run = self.connection.call(retrain, RetrainNow(project=project.name, reason="a try")).run_id or ""
        until(lambda: self.connection.call(show_run, ShowRun(run=run)).run.status.ended)
        return self.connection.call(show_run, ShowRun(run=run)).run

    def take(self, rows: pl.DataFrame | bytes) -> Run:
        """Trains on these rows, or on a file that holds these bytes."""
        (self.folder / "rows.parquet").write_bytes(rows if isinstance(rows, bytes) else parquet(rows))
        return self.train(self.folder)

    def failure(self, run: Run) -> KeptError:
        """What the run failed with."""
        assert run.status is RunStatus.FAILED
        found = failure_of(self.connection.workspace, run.id)
        assert found is not None
        assert str(found) in str(run.error) or found.what in str(run.error)
        return found

    def versions(self) -> list[DatasetVersion]:
        """The versions of the dataset, newest first."""
        return self.connection.call(list_data, ListData(dataset=DATASET))


@pytest.fixture(scope="module")
def yard(mine: Path) -> Iterator[Yard]:
    (mine / "project.py").write_text(FROM_FILE)
    worker = spawn(mine, "work", log="work.log")
    try:
        yield Yard(mine, connect(mine), worker)
    finally:
        end(worker)


def parquet(rows: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    rows.write_parquet(stream)
    return stream.getvalue()


def some(change: pl.Expr) -> pl.DataFrame:
    """The good rows with a column changed in every tenth of them."""
    every_tenth = pl.int_range(pl.len()) % 10 == 0
    return GOOD.with_columns(pl.when(every_tenth).then(change).otherwise(pl.col(change.meta.output_name())))


BAD: dict[str, tuple[Callable[[], pl.DataFrame | bytes], type[KeptError], tuple[str, ...]]] = {
    "a missing feature": (lambda: GOOD.drop("line"), Invalid, ("the column 'line' is missing", DATASET)),
    "a missing label": (lambda: GOOD.drop("late"), Invalid, ("no column 'late'", "It gives id, at, line, people")),
    "a missing key": (lambda: GOOD.drop("id"), Invalid, ("no column 'id'",)),
    "a wrong type": (
        lambda: GOOD.with_columns(people=pl.lit("many")),
        Invalid,
        ("'people' holds string values", "'many'", "the schema says number"),
    ),
    "a label of another type": (
        lambda: GOOD.with_columns(late=pl.when(pl.col("late")).then(float("nan")).otherwise(0.0)),
        Invalid,
        ("'late' holds number values", "the schema says boolean"),
    ),
    "a time without zone": (
        lambda: GOOD.with_columns(pl.col("at").dt.replace_time_zone(None)),
        Invalid,
        ("'at' holds times without a zone", "replace_time_zone"),
    ),
    "times that are texts": (lambda: GOOD.with_columns(pl.col("at").cast(pl.String)), Invalid, ("'at'", "moments")),
    "no rows": (GOOD.clear, Invalid, ("it has no rows", "Check the source")),
    "an empty file": (lambda: b"", Invalid, (f"dataset {DATASET}: it raised ComputeError", "Mend the function")),
    "a half-written file": (lambda: parquet(GOOD)[:-5000], Invalid, (f"dataset {DATASET}: it raised ComputeError",)),
    "rows with one key": (
        lambda: pl.concat([GOOD, GOOD.head(200)]),
        CheckFailed,
        ("another row with this key (id) comes later (200 rows)", "1.0% may be", "kept data quarantine"),
    ),
    "rows without a key": (
        lambda: some(pl.lit(None, pl.String).alias("id")),
        CheckFailed,
        ("id is null (160 rows)",),
    ),
    "rows without a time": (
        lambda: some(pl.lit(None, pl.Datetime("us", "UTC")).alias("at")),
        CheckFailed,
        ("at is null (160 rows)",),
    ),
    "endless numbers": (
        lambda: some(pl.lit(float("inf")).alias("people")),
        CheckFailed,
        ("people is infinite (160 rows)",),
    ),
    "no labels": (
        lambda: GOOD.with_columns(late=pl.lit(None, pl.Boolean)),
        CheckFailed,
        ("only 0 labelled rows to learn from",),
    ),
    "one class": (
        lambda: GOOD.with_columns(late=pl.lit(value=True)),
        Invalid,
        ("label 'late'", "Give rows of both classes"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_with_its_reason(case: str, yard: Yard) -> None:
    rows, kind, said = BAD[case]
    failure = yard.failure(yard.take(rows()))
    assert type(failure) is kind, str(failure)
    for text in said:
        assert text in str(failure), str(failure)


def test_blemishes_are_set_aside_and_noted_and_the_rest_is_learnt(yard: Yard) -> None:
    rows = pl.concat([GOOD, GOOD.head(1)]).with_columns(
        line=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("moon")).otherwise("line"),
        people=pl.when(pl.int_range(pl.len()) == 5).then(float("nan")).otherwise("people"),
    )
    run = yard.take(rows)
    assert run.status is RunStatus.FINISHED, run.error
    version = yard.versions()[0]
    assert version.run_id == run.id
    assert (version.rows, version.rows_quarantined) == (GOOD.height - 1, 2)
    bad = yard.connection.call(
        show_quarantine, ShowQuarantine(project=ENDPOINT, dataset=DATASET, number=version.number)
    )
    assert {one.reason for one in bad} == {"another row with this key (id) comes later", "people is null"}
    findings = {one.kind: one for one in version.quality.findings}
    assert "'moon'" in findings["new_categories"].what
    assert findings["not_a_number"].rows == 1


def test_nothing_was_lost_to_bad_data(yard: Yard) -> None:
    versions = yard.versions()
    for one in versions:
        rows = yard.connection.workspace.tables.read(f"data/{ENDPOINT}/{DATASET}", one.table_version).collect()
        assert rows.height == one.rows
    assert versions[-1].rows > GOOD.height
    (served,) = yard.connection.call(show_status, ShowStatus(endpoint=ENDPOINT))
    assert served.route is not None
    assert [arm.number for arm in served.route.arms if arm.role == "champion"] == [1]
    yard.connection.call(verify_audit, VerifyAudit())
    assert yard.worker.poll() is None


FAULTS = {
    "raises": ("raise RuntimeError('no such tree')", "", ("fit", "RuntimeError: no such tree")),
    "takes-all-memory": (
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, resource.RLIM_INFINITY)); bytearray(8 << 30)",
        "",
        ("memory", "Give the machine more memory"),
    ),
    "is-killed": (
        "os.kill(os.getpid(), signal.SIGKILL)",
        "",
        ("its process was killed, most likely because the machine ran out of memory",),
    ),
    "leaves": ("os._exit(3)", "", ("exit code 3",)),
    "is-none": ("return None", "", ("line",)),
    "has-no-label-for-most": (
        "pass",
        ".with_columns(people=pl.when(pl.int_range(pl.len()) % 2 == 0).then(float('nan')).otherwise('people'))",
        ("people is NaN: a label that is not known yet is null (400 rows)",),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_step_that_goes_wrong_ends_its_run_alone(name: str, yard: Yard, tmp_path: Path) -> None:
    body, change, said = FAULTS[name]
    folder = begin(tmp_path / name, MODEL.format(name=name, body=body, change=change))
    run = yard.train(folder)
    failure = yard.failure(run)
    for text in said:
        assert text in str(run.error) + str(failure), f"{run.error} | {failure}"
    assert yard.worker.poll() is None
