"""The steps of the standard pipeline that meet the registry: who is champion, and who comes next."""

from pathlib import Path

import polars as pl

from kept.data.records import find_version
from kept.evaluation.gate import Verdict
from kept.evaluation.steps import Evaluated, Incumbent
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.registry.card import DataSource, Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.model import CHAMPION
from kept.registry.records.versions import find_alias, version_by_id
from kept.tracking.runs import get_run, log_metrics, log_params
from kept.training.facts import Columns, Packaged, Pinned
from kept.training.splits import TEST
from kept.training.tuning import Tuned


def champion(context: StepContext) -> Incumbent:
    """The version that serves now."""
    with context.workspace.database.reading() as connection:
        alias = find_alias(connection, context.project, CHAMPION)
        version = version_by_id(connection, alias.version_id) if alias else None
    if version is None:
        return Incumbent()
    return Incumbent(version_id=version.id, number=version.number, bundle=version.bundle, run_id=version.run_id or "")


def register(
    context: StepContext,
    source: str,
    ingest: Pinned,
    columns: Columns,
    split: pl.DataFrame,
    tune: Tuned,
    package: Packaged,
    reference: str,
    evaluate: Evaluated,
    judge: Verdict,
) -> str:
    """Registers the bundle with its verdict and its card, accepted or rejected, and gives the version's id."""
    _note(context, tune, package, evaluate)
    project = load_project(Path(source))
    spec = project.the_dataset
    run = get_run(context.workspace, context.run_id)
    with context.workspace.database.reading() as connection:
        pinned = find_version(connection, project.name, spec.name, ingest.dataset)
    lineage = Lineage(
        question=project.question,
        owner=project.owner,
        estimator=project.the_model.name,
        data=(
            DataSource(
                dataset=spec.name,
                number=ingest.dataset,
                fingerprint=ingest.fingerprint,
                rows=ingest.rows,
                quarantined=ingest.quarantined,
                event_from=pinned.event_from if pinned else None,
                event_to=pinned.event_to if pinned else None,
                source=spec.source,
            ),
        ),
        features=columns.features,
        views=ingest.views,
        parameters=tune.parameters,
        training_rows=split.filter(pl.col("part") != TEST).height,
        run_id=context.run_id,
        code=run.code,
        environment=run.environment,
        seeds={"run": context.seed},
        bundle=package.bundle,
        runtime=package.runtime,
        reference=reference,
        loss=evaluate.loss,
        notes=(*evaluate.notes, *((package.not_exported,) if package.not_exported else ())),
    )
    card = write_card(lineage, evaluate.report, baseline=evaluate.baseline, champion=evaluate.champion)
    version = register_version(
        context.workspace,
        context.actor,
        RegisterVersion(
            project=project.name,
            model=project.name,
            bundle=package.bundle,
            run_id=context.run_id,
            verdict=judge,
            card=card,
        ),
    )
    context.log(f"version {version.number} is {version.status}")
    return version.id


def _note(context: StepContext, tune: Tuned, package: Packaged, evaluate: Evaluated) -> None:
    """Notes what the run was done with and what it measured: here, as the steps before may not have been run again."""
    log_params(context.workspace, context.run_id, tune.parameters)
    measured = {
        f"test_{name}": one.estimate for name, one in evaluate.report.metrics.items() if one.estimate is not None
    }
    operational = {name: getattr(package, name) for name in ("size_mb", "latency_p50_ms", "latency_p99_ms")}
    log_metrics(context.workspace, context.run_id, measured | operational)
