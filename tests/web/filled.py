"""A workspace with something of everything, and hostile text wherever a person or a file may write text."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl

from kept.core.ids import new_id
from kept.data.ingestion import TableSpec, ingest
from kept.deployment.release import ReleaseVersion, release
from kept.evaluation.gate import judge
from kept.evaluation.report import EvaluationReport, evaluate
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.loop.decisions import Decide, take
from kept.measures.arrays import Array
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.incidents import Acknowledge, MuteAlerts, acknowledge, mute
from kept.monitoring.records import save_results
from kept.monitoring.result import WindowResult
from kept.pipelines.job import Cause, Failure
from kept.pipelines.records import put_steps
from kept.pipelines.run_step import RunStep, StepStatus
from kept.plan.catalog import ensure_registered
from kept.plan.objective import at_least, at_most
from kept.plan.policy import drift
from kept.plan.project import Project
from kept.registry.card import DataSource, Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.version import ModelVersion
from kept.tracking.runs import create_run, fail, finish, log_metrics, log_params, start

NAME = "flights"
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
APRIL = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OBJECTIVES = [at_least("roc_auc", 0.6), at_least("roc_auc", 0.5, by="origin"), at_most("latency_p99_ms", 20)]


@dataclass(frozen=True)
class Filled:
    """What was made."""

    versions: list[ModelVersion]
    run: str
    failed: str
    prediction: str
    alert: str


def fill(workspace: Workspace, me: Actor, folder: Path, random: Array) -> Filled:
    """Fills a workspace; `random` are 600 numbers between 0 and 1."""
    _register_project(workspace, me, folder)
    _ingest(workspace, me)
    run = _run(workspace)
    versions = [_version(workspace, me, random, None), _version(workspace, me, random, run)]
    for version in versions:
        request = ReleaseVersion(
            endpoint=NAME, model=NAME, version=str(version.number), reason=HOSTILE, event_time=APRIL
        )
        release(workspace, me, request)
    failed = _failed_run(workspace)
    alert = _watch(workspace, me, versions)
    decision = Decide(
        project=NAME, kind="retrain", trigger="drift", reason=HOSTILE, evidence={}, event_time=APRIL + 9 * DAY
    )
    take(workspace, me, decision)
    prediction = _predict(workspace, versions[0])
    return Filled(versions=versions, run=run, failed=failed, prediction=prediction, alert=alert)


def _register_project(workspace: Workspace, me: Actor, folder: Path) -> None:
    project = Project(NAME, question=f"Late? {HOSTILE}", owner=HOSTILE, objectives=OBJECTIVES)

    @project.dataset(key="id", event_time="at", label="late", label_delay="1d", source=HOSTILE)
    def flights() -> None:
        """Flights."""

    project.retrain(on=[drift()])
    project.release(canary=[0.25, 1.0])
    source = folder / "project.py"
    source.write_text("")
    ensure_registered(workspace, me, project, source)


def _ingest(workspace: Workspace, me: Actor) -> None:
    frame = pl.DataFrame(
        {
            "id": ["a", "b", "c", "c"],
            "at": [APRIL, APRIL, APRIL, APRIL],
            "origin": [HOSTILE, "JFK", "LGA", HOSTILE],
            HOSTILE: [1.0, 2.0, 3.0, 4.0],
        }
    )
    spec = TableSpec(name=NAME, key=("id",), event_time="at", max_bad_share=0.5, source=HOSTILE)
    ingest(workspace, me, NAME, spec, frame)
    view = TableSpec(name="features/weather", key=("id",), source="Weather")
    ingest(workspace, me, NAME, view, frame.head(3))


def _run(workspace: Workspace) -> str:
    run = create_run(
        workspace,
        project=NAME,
        kind="training",
        name=HOSTILE,
        created_by=HOSTILE,
        reason=HOSTILE,
        tags={HOSTILE: HOSTILE},
    )
    start(workspace, run.id)
    log_params(workspace, run.id, {HOSTILE: HOSTILE})
    log_metrics(workspace, run.id, {"test_roc_auc": 0.7, HOSTILE: 1.0})
    trial = create_run(workspace, project=NAME, kind="trial", name=f"trial {HOSTILE}", created_by="ada", parent=run.id)
    log_params(workspace, trial.id, {"learning_rate": 0.1})
    now = workspace.clock.now()
    log = workspace.blobs.put(HOSTILE.encode())
    steps = [
        RunStep(
            run_id=run.id, step=name, position=place, status=StepStatus.FINISHED, started_at=now, ended_at=now, log=log
        )
        for place, name in enumerate(("ingest", "fit", "evaluate"))
    ]
    with workspace.database.writing() as connection:
        put_steps(connection, steps)
    return finish(workspace, run.id).id


def _failed_run(workspace: Workspace) -> str:
    run = create_run(workspace, project=NAME, kind="training", name="", created_by="ada")
    start(workspace, run.id)
    failure = Failure(cause=Cause.RAISED, what=HOSTILE)
    now = workspace.clock.now()
    step = RunStep(
        run_id=run.id, step="fit", position=0, status=StepStatus.FAILED, started_at=now, ended_at=now, failure=failure
    )
    with workspace.database.writing() as connection:
        put_steps(connection, [step])
    return fail(workspace, run.id, HOSTILE).id


def _version(workspace: Workspace, me: Actor, random: Array, run: str | None) -> ModelVersion:
    report = _report(random)
    bundle = workspace.blobs.put(new_id().encode())
    lineage = Lineage(
        question=f"Late? {HOSTILE}",
        owner=HOSTILE,
        estimator=HOSTILE,
        data=(DataSource(dataset=NAME, number=1, fingerprint="sha256:0", rows=3, quarantined=1, source=HOSTILE),),
        features=("origin", HOSTILE),
        views={"weather": 1},
        parameters={"learning_rate": HOSTILE},
        training_rows=10,
        run_id=run,
        bundle=bundle,
        notes=(HOSTILE,),
    )
    request = RegisterVersion(
        project=NAME,
        model=NAME,
        bundle=bundle,
        run_id=run,
        verdict=judge(OBJECTIVES, report),
        card=write_card(lineage, report),
    )
    return register_version(workspace, me, request)


def _report(random: Array) -> EvaluationReport:
    scores, chance = random[:300], random[300:]
    frame = pl.DataFrame({"origin": [HOSTILE, "JFK"] * 150})
    labels = (chance < scores).astype(float)
    measured = {"latency_p99_ms": 2.0}
    return evaluate("binary", (HOSTILE, True), scores, labels, frame, OBJECTIVES, measured, seed=0)


def _watch(workspace: Workspace, me: Actor, versions: list[ModelVersion]) -> str:
    results = [
        WindowResult(
            endpoint=NAME,
            version_id=version.id,
            start=APRIL + day * DAY,
            monitor=monitor,
            metric=metric,
            value=value,
            low=None if monitor == "drift" else value - 0.05,
            high=90.0 if monitor == "drift" else value + 0.05,
            rows=100 - version.number,
            holds=value >= 0.6 if metric == "roc_auc" else None,
        )
        for day in range(10)
        for monitor, metric, value in (
            ("performance", "roc_auc", 0.7 - day / 50),
            ("performance", "log_loss", 0.5),
            ("drift", "drift", day * 9.5),
            ("estimate", "estimated_roc_auc", 0.68),
        )
        for version in (versions if monitor == "performance" and day > 5 else versions[:1])
    ]
    doubt = WindowResult(
        endpoint=NAME,
        version_id=versions[0].id,
        start=APRIL + 9 * DAY,
        monitor="estimate",
        metric="outside",
        slice=HOSTILE,
        value=0.4,
        rows=100,
        holds=False,
    )
    skewed = msgspec.structs.replace(doubt, monitor="skew", metric="served_otherwise", low=0.3, high=0.5)
    released = msgspec.structs.replace(doubt, monitor="skew", metric="release", slice="", holds=True)
    with workspace.database.writing() as connection:
        save_results(connection, [*results, doubt, skewed, released])
    alert = RaiseAlert(
        project=NAME,
        endpoint=NAME,
        kind="drift",
        severity="critical",
        title=HOSTILE,
        evidence={"causes": [HOSTILE], "budget": HOSTILE},
        version_id=versions[0].id,
        event_time=APRIL + 9 * DAY,
    )
    raised = raise_alert(workspace, me, alert)
    acknowledge(workspace, me, Acknowledge(incident=raised.id, note=HOSTILE, owner=HOSTILE))
    mute(workspace, me, MuteAlerts(endpoint=NAME, column=HOSTILE, length="300d", reason=HOSTILE))
    return raised.id


def _predict(workspace: Workspace, version: ModelVersion) -> str:
    prediction = new_id()
    frame = pl.DataFrame(
        {
            "id": [prediction],
            "event_time": [APRIL],
            "received_at": [workspace.clock.now()],
            "version_id": [version.id],
            "version": [version.number],
            "role": ["champion"],
            "key": [HOSTILE],
            "latency_us": [800],
            "score": [0.7],
            "prediction": ["true"],
            "scores": pl.Series([None], dtype=pl.List(pl.Float64)),
            "answer_id": [prediction],
            "feature_origin": [HOSTILE],
        }
    )
    workspace.tables.append(f"predictions/{NAME}", frame)
    return prediction
