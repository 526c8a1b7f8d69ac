"""The pipeline steps `champion` and `register`, which meet the registry."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from kept.core.errors import NotFound
from kept.data.records import find_version
from kept.evaluation.gate import Verdict
from kept.evaluation.steps import Evaluated, Incumbent
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.plan.project import Project
from kept.registry.card import Adoption, DataSource, Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.records.registered import registered_by_id
from kept.registry.records.versions import find_alias, version_by_id
from kept.registry.registered_versions import set_version_tag
from kept.registry.requests import SetVersionTag
from kept.registry.version import CHAMPION, ModelVersion
from kept.tracking.runs import get_run, log_metrics, log_params
from kept.training.adopting import Adopted, note_of
from kept.training.facts import Columns, Packaged, Pinned
from kept.training.splits import TEST
from kept.training.tuning import Tuned

_ADOPTED_AS = "kept.adopted_as"


def champion(context: StepContext) -> Incumbent:
    """The version that serves now."""
    with context.workspace.database.reading() as connection:
        alias = find_alias(connection, context.project, CHAMPION)
        version = version_by_id(connection, alias.version_id) if alias else None
    if version is None:
        return Incumbent()
    # The rows of the run that judged an adopted model are not those that it learnt from.
    made_by = version.run_id if version.card.lineage.adopted is None else None
    return Incumbent(version_id=version.id, number=version.number, bundle=version.bundle, run_id=made_by or "")


@dataclass(frozen=True)
class _Made:
    """What the steps before have made, by their names."""

    ingest: Pinned
    columns: Columns
    tune: Tuned
    package: Packaged
    reference: str
    attribution: str | None
    evaluate: Evaluated
    judge: Verdict


def register(
    context: StepContext,
    source: str,
    ingest: Pinned,
    columns: Columns,
    split: pl.DataFrame,
    tune: Tuned,
    package: Packaged,
    reference: str,
    attribution: str | None,
    evaluate: Evaluated,
    judge: Verdict,
) -> str:
    """Registers the bundle with its verdict and its card, accepted or rejected, and gives the version's id."""
    made = _Made(ingest, columns, tune, package, reference, attribution, evaluate, judge)
    project = load_project(Path(source))
    run = get_run(context.workspace, context.run_id)
    lineage = msgspec.structs.replace(
        _lineage(context, project, made),
        estimator=project.the_model.name,
        training_rows=split.filter(pl.col("part") != TEST).height,
        code=run.code,
        environment=run.environment,
        seeds={"run": context.seed},
    )
    return _registered(context, project.name, lineage, made).id


def register_adopted(
    context: StepContext,
    source: str,
    registered: str,
    class_names: dict[str, str],
    ingest: Pinned,
    columns: Columns,
    tune: Tuned,
    fit: Adopted,
    package: Packaged,
    reference: str,
    attribution: str | None,
    evaluate: Evaluated,
    judge: Verdict,
) -> str:
    """Registers the bundle of a model that was taken over from the version `registered`, which is told so by a tag."""
    made = _Made(ingest, columns, tune, package, reference, attribution, evaluate, judge)
    project = load_project(Path(source))
    with context.workspace.database.reading() as connection:
        taken = registered_by_id(connection, registered)
    if taken is None:
        raise NotFound("the version was deleted meanwhile", where=registered, fix="Register the model again")
    adopted = Adoption(
        model=taken.model,
        number=taken.number,
        version_id=taken.id,
        source=taken.source,
        run_id=taken.run_id,
        logged_model=taken.logged_model,
        flavour=fit.folder.flavour,
        made_with=fit.folder.made_with,
        files=fit.files,
        classes=class_names,
    )
    lineage = _lineage(context, project, made)
    note = note_of(fit.folder, columns.classes)
    lineage = msgspec.structs.replace(
        lineage,
        estimator=f"models:/{taken.model}/{taken.number}",
        adopted=adopted,
        notes=(*lineage.notes, *((note,) if note else ())),
    )
    version = _registered(context, project.name, lineage, made)
    tag = SetVersionTag(
        name=taken.model,
        version=str(taken.number),
        key=_ADOPTED_AS,
        value=f"models:/{version.model}/{version.number}",
    )
    set_version_tag(context.workspace, context.actor, tag)
    return version.id


def _lineage(context: StepContext, project: Project, made: _Made) -> Lineage:
    """What every model has in common, wherever it was trained."""
    spec = project.the_dataset
    with context.workspace.database.reading() as connection:
        pinned = find_version(connection, project.name, spec.name, made.ingest.dataset)
    return Lineage(
        question=project.question,
        owner=project.owner,
        estimator="",
        data=(
            DataSource(
                dataset=spec.name,
                number=made.ingest.dataset,
                fingerprint=made.ingest.fingerprint,
                rows=made.ingest.rows,
                quarantined=made.ingest.quarantined,
                event_from=pinned.event_from if pinned else None,
                event_to=pinned.event_to if pinned else None,
                source=spec.source,
            ),
        ),
        features=made.columns.features,
        views=made.ingest.views,
        parameters=made.tune.parameters,
        training_rows=0,
        run_id=context.run_id,
        bundle=made.package.bundle,
        runtime=made.package.runtime,
        reference=made.reference,
        attribution=made.attribution,
        loss=made.evaluate.loss,
        notes=(*made.evaluate.notes, *((made.package.not_exported,) if made.package.not_exported else ())),
    )


def _registered(context: StepContext, project: str, lineage: Lineage, made: _Made) -> ModelVersion:
    _note(context, made)
    measured = made.evaluate
    card = write_card(lineage, measured.report, baseline=measured.baseline, champion=measured.champion)
    version = register_version(
        context.workspace,
        context.actor,
        RegisterVersion(
            project=project,
            model=project,
            bundle=made.package.bundle,
            run_id=context.run_id,
            verdict=made.judge,
            card=card,
        ),
    )
    context.log(f"version {version.number} is {version.status}")
    return version


def _note(context: StepContext, made: _Made) -> None:
    """Notes what the run was done with and what it measured: here, as the steps before may not have been run again."""
    log_params(context.workspace, context.run_id, made.tune.parameters)
    metrics = made.evaluate.report.metrics
    measured = {f"test_{name}": one.estimate for name, one in metrics.items() if one.estimate is not None}
    operational = {name: getattr(made.package, name) for name in ("size_mb", "latency_p50_ms", "latency_p99_ms")}
    log_metrics(context.workspace, context.run_id, measured | operational)
