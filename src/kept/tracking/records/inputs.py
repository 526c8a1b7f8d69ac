"""Rows of runs' inputs and outputs: datasets and logged models."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, select

from kept.store.rows import to_row
from kept.store.schema import datasets, run_datasets, run_models
from kept.store.upsert import Upsert
from kept.tracking.points import Dataset, DatasetInput, DatasetSummary, ModelOutput
from kept.tracking.records.keys import RunKey, pieces

CONTEXT = "mlflow.data.context"
"""The tag in which clients say what a run read a dataset for."""
_READ = Upsert(run_datasets)
_INPUT, _OUTPUT = "input", "output"
_RUNS: BindParameter[Any] = bindparam("runs", expanding=True)
_DATASETS = (
    select(run_datasets.c.run, run_datasets.c.tags, datasets)
    .join(datasets, datasets.c.id == run_datasets.c.dataset)
    .where(run_datasets.c.run.in_(_RUNS))
    .order_by(run_datasets.c.run, datasets.c.id)
)
_MODELS = (
    select(run_models.c.run, run_models.c.model, run_models.c.step)
    .where(run_models.c.run.in_(_RUNS), run_models.c.role == bindparam("role"))
    .order_by(run_models.c.number)
)


def put_dataset(connection: Connection, run: RunKey, read: DatasetInput) -> None:
    """Notes a dataset that a run read; what is noted already is left."""
    same = (
        datasets.c.experiment == run.experiment,
        datasets.c.name == read.dataset.name,
        datasets.c.digest == read.dataset.digest,
    )
    number = connection.execute(select(datasets.c.id).where(*same)).scalar()
    if number is None:
        row = to_row(read.dataset) | {"experiment": run.experiment}
        number = connection.execute(insert(datasets).values(**row).returning(datasets.c.id)).scalar_one()
    row = {"run": run.number, "dataset": number, "tags": dict(read.tags), "context": read.tags.get(CONTEXT)}
    _READ.into(connection, [row])


def put_model_inputs(connection: Connection, run: RunKey, models: Iterable[str]) -> None:
    """Notes logged models that a run read; what is noted already is left."""
    known = set(inputs_of(connection, [run.number]).get(run.number, []))
    rows = [
        {"run": run.number, "model": model, "role": _INPUT, "step": 0}
        for model in dict.fromkeys(models)
        if model not in known
    ]
    if rows:
        connection.execute(insert(run_models), rows)


def put_model_outputs(connection: Connection, run: RunKey, models: Iterable[ModelOutput]) -> None:
    """Notes logged models that a run made."""
    rows = [{"run": run.number, "model": made.model, "role": _OUTPUT, "step": made.step} for made in models]
    if rows:
        connection.execute(insert(run_models), rows)


def datasets_of(connection: Connection, numbers: Sequence[int]) -> dict[int, list[DatasetInput]]:
    """Datasets that runs read, of each run that read any."""
    found: dict[int, list[DatasetInput]] = defaultdict(list)
    for some in pieces(numbers):
        for row in connection.execute(_DATASETS, {"runs": some}):
            dataset = Dataset(
                name=row.name,
                digest=row.digest,
                source_type=row.source_type,
                source=row.source,
                schema=row.schema,
                profile=row.profile,
            )
            found[row.run].append(DatasetInput(dataset=dataset, tags=row.tags))
    return found


def inputs_of(connection: Connection, numbers: Sequence[int]) -> dict[int, list[str]]:
    """Logged models that runs read, of each run that read any."""
    found: dict[int, list[str]] = defaultdict(list)
    for run, model, _ in _models(connection, numbers, _INPUT):
        found[run].append(model)
    return found


def outputs_of(connection: Connection, numbers: Sequence[int]) -> dict[int, list[ModelOutput]]:
    """Logged models that runs made, of each run that made any."""
    found: dict[int, list[ModelOutput]] = defaultdict(list)
    for run, model, step in _models(connection, numbers, _OUTPUT):
        found[run].append(ModelOutput(model=model, step=step))
    return found


def dataset_summaries(connection: Connection, experiments: Sequence[int], limit: int) -> list[DatasetSummary]:
    """Datasets that runs of experiments read, each once for each thing it was read for."""
    query = (
        select(datasets.c.experiment, datasets.c.name, datasets.c.digest, run_datasets.c.context)
        .join(run_datasets, run_datasets.c.dataset == datasets.c.id)
        .where(datasets.c.experiment.in_(experiments))
        .distinct()
        .order_by(datasets.c.experiment, datasets.c.name, datasets.c.digest, run_datasets.c.context.nulls_first())
        .limit(limit)
    )
    return [
        DatasetSummary(experiment=str(row.experiment), name=row.name, digest=row.digest, context=row.context)
        for row in connection.execute(query)
    ]


def _models(connection: Connection, numbers: Sequence[int], role: str) -> list[tuple[int, str, int]]:
    found: list[tuple[int, str, int]] = []
    for some in pieces(numbers):
        found += [tuple(row) for row in connection.execute(_MODELS, {"runs": some, "role": role})]
    return found
