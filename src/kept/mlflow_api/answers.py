"""The schema of MLflow's responses. A field that holds its default is left out, as theirs are."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from kept.mlflow_api.errors import unfit
from kept.mlflow_api.version_files import address_of
from kept.registry.registered import RegisteredModel, RegisteredVersion
from kept.registry.webhook import Event, Webhook
from kept.tracking.experiment import Experiment
from kept.tracking.logged_model import LoggedModel, ModelStatus
from kept.tracking.points import DatasetInput, Point, RunPoint
from kept.tracking.run import Run, RunData, RunStatus

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
RUN_STATUS = {
    RunStatus.QUEUED: "SCHEDULED",
    RunStatus.RUNNING: "RUNNING",
    RunStatus.FINISHED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.CANCELLED: "KILLED",
}
MODEL_STATUS = {
    ModelStatus.PENDING: "LOGGED_MODEL_PENDING",
    ModelStatus.READY: "LOGGED_MODEL_READY",
    ModelStatus.FAILED: "LOGGED_MODEL_UPLOAD_FAILED",
}


class Done(Struct):
    """Nothing but that it is done."""


class PairAnswer(Struct):
    """A tag or a parameter."""

    key: str
    value: str


class ExperimentAnswer(Struct, omit_defaults=True):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[PairAnswer] = []
    workspace: str | None = None


class ExperimentCreated(Struct):
    """The id of a new experiment."""

    experiment_id: str


class OneExperiment(Struct):
    """One experiment."""

    experiment: ExperimentAnswer


class Experiments(Struct, omit_defaults=True):
    """A page of experiments."""

    experiments: list[ExperimentAnswer] = []
    next_page_token: str | None = None


class DatasetSummaryAnswer(Struct, omit_defaults=True):
    """A dataset that runs read."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class DatasetSummaries(Struct, omit_defaults=True):
    """Datasets that runs read."""

    dataset_summaries: list[DatasetSummaryAnswer] = []


class MetricAnswer(Struct, omit_defaults=True):
    """A point."""

    key: str
    value: float | str
    timestamp: int
    # The step is always told, 0 too.
    step: int | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    model_id: str | None = None
    run_id: str | None = None


class Metrics(Struct, omit_defaults=True):
    """A page of points."""

    metrics: list[MetricAnswer] = []
    next_page_token: str | None = None


class MetricsBulk(Struct):
    """Points of several runs."""

    metrics: list[MetricAnswer]


class RunInfoAnswer(Struct, omit_defaults=True):
    """A run without what was logged to it."""

    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    end_time: int | None = None
    artifact_uri: str | None = None
    lifecycle_stage: str | None = None
    run_id: str | None = None


class RunDataAnswer(Struct, omit_defaults=True):
    """What was logged to a run."""

    metrics: list[MetricAnswer] = []
    params: list[PairAnswer] = []
    tags: list[PairAnswer] = []


class DatasetAnswer(Struct, omit_defaults=True):
    """A dataset."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInputAnswer(Struct, omit_defaults=True):
    """A dataset that was read, and what for."""

    dataset: DatasetAnswer
    tags: list[PairAnswer] = []


class ModelInputAnswer(Struct):
    """A logged model that was read."""

    model_id: str


class ModelOutputAnswer(Struct):
    """A logged model that was made."""

    model_id: str
    step: int


class RunInputsAnswer(Struct, omit_defaults=True):
    """What a run read."""

    dataset_inputs: list[DatasetInputAnswer] = []
    model_inputs: list[ModelInputAnswer] = []


class RunOutputsAnswer(Struct, omit_defaults=True):
    """What a run made."""

    model_outputs: list[ModelOutputAnswer] = []


class RunAnswer(Struct, omit_defaults=True):
    """A run."""

    info: RunInfoAnswer
    data: RunDataAnswer
    inputs: RunInputsAnswer
    outputs: RunOutputsAnswer | None = None


class OneRun(Struct):
    """One run."""

    run: RunAnswer


class OneRunInfo(Struct):
    """One run without what was logged to it."""

    run_info: RunInfoAnswer


class Runs(Struct, omit_defaults=True):
    """A page of runs."""

    runs: list[RunAnswer] = []
    next_page_token: str | None = None


class LoggedModelInfoAnswer(Struct, omit_defaults=True):
    """A logged model without what was measured on it."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str
    source_run_id: str
    status_message: str | None = None
    tags: list[PairAnswer] = []


class LoggedModelDataAnswer(Struct, omit_defaults=True):
    """What was measured on a logged model."""

    params: list[PairAnswer] = []
    metrics: list[MetricAnswer] = []


class LoggedModelAnswer(Struct):
    """A logged model."""

    info: LoggedModelInfoAnswer
    data: LoggedModelDataAnswer


class OneLoggedModel(Struct):
    """One logged model."""

    model: LoggedModelAnswer


class LoggedModels(Struct, omit_defaults=True):
    """A page of logged models."""

    models: list[LoggedModelAnswer] = []
    next_page_token: str | None = None


class FileAnswer(Struct, omit_defaults=True):
    """A file or a folder."""

    path: str
    is_dir: bool
    file_size: int | None = None


class Files(Struct, omit_defaults=True):
    """What is in a folder."""

    root_uri: str | None = None
    files: list[FileAnswer] = []


class ModelVersionAnswer(Struct, omit_defaults=True):
    """A version of a registered model."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str
    description: str
    source: str
    run_id: str
    status: str
    run_link: str
    tags: list[PairAnswer] = []
    aliases: list[str] = []


class AliasAnswer(Struct):
    """An alias with the version that it points to."""

    alias: str
    version: str


class RegisteredModelAnswer(Struct, omit_defaults=True):
    """A registered model."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    latest_versions: list[ModelVersionAnswer] = []
    tags: list[PairAnswer] = []
    aliases: list[AliasAnswer] = []


class OneRegisteredModel(Struct):
    """One registered model."""

    registered_model: RegisteredModelAnswer


class RegisteredModels(Struct, omit_defaults=True):
    """A page of registered models."""

    registered_models: list[RegisteredModelAnswer] = []
    next_page_token: str | None = None


class OneModelVersion(Struct):
    """One version."""

    model_version: ModelVersionAnswer


class ModelVersions(Struct, omit_defaults=True):
    """A page of versions."""

    model_versions: list[ModelVersionAnswer] = []
    next_page_token: str | None = None


class DownloadAddress(Struct):
    """Where the files of a version stand."""

    artifact_uri: str


class EventAnswer(Struct):
    """An event: what it happens to, and what happens."""

    entity: str
    action: str


class WebhookAnswer(Struct, omit_defaults=True):
    """A webhook, without its secret."""

    webhook_id: str
    name: str
    url: str
    events: list[EventAnswer]
    status: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""


class OneWebhook(Struct):
    """One webhook."""

    webhook: WebhookAnswer


class Webhooks(Struct, omit_defaults=True):
    """A page of webhooks."""

    webhooks: list[WebhookAnswer] = []
    next_page_token: str | None = None


class TryAnswer(Struct, omit_defaults=True):
    """What came of sending an example."""

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None


class WebhookTried(Struct):
    """What came of trying a webhook."""

    result: TryAnswer


def pairs(values: Mapping[str, str]) -> list[PairAnswer]:
    """Tags or parameters, by name."""
    return [PairAnswer(name, value) for name, value in values.items()]


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970 in UTC."""
    return (moment - _START) // _MILLISECOND


def moment(value: int, where: str) -> datetime:
    """The moment of a number of milliseconds since 1970 in UTC."""
    try:
        return _START + timedelta(milliseconds=value)
    except OverflowError as error:
        raise unfit(where, value) from error


def experiment_answer(found: Experiment) -> ExperimentAnswer:
    """An experiment."""
    return ExperimentAnswer(
        experiment_id=found.id,
        name=found.name,
        artifact_location=found.artifact_location,
        lifecycle_stage=found.lifecycle.value,
        last_update_time=milliseconds(found.updated_at),
        creation_time=milliseconds(found.created_at),
        tags=pairs(found.tags),
        workspace="default",
    )


def metric_answer(point: Point, run: str | None = None) -> MetricAnswer:
    """A point; NaN and the infinities as the words that JSON can carry."""
    return MetricAnswer(
        point.name,
        point.value if math.isfinite(point.value) else _word(point.value),
        point.at,
        point.step,
        point.dataset_name,
        point.dataset_digest,
        point.model,
        run,
    )


def run_points(found: list[RunPoint]) -> list[MetricAnswer]:
    """Points of several runs."""
    return [metric_answer(one.point, one.run) for one in found]


def run_info(run: Run) -> RunInfoAnswer:
    """A run without what was logged to it."""
    return RunInfoAnswer(
        run_uuid=run.id,
        experiment_id=run.experiment,
        run_name=run.name,
        user_id=run.user,
        status=RUN_STATUS[run.status],
        start_time=milliseconds(run.started_at or run.created_at),
        end_time=None if run.ended_at is None else milliseconds(run.ended_at),
        artifact_uri=run.artifact_location,
        lifecycle_stage=run.lifecycle.value,
        run_id=run.id,
    )


def new_run_answer(run: Run) -> RunAnswer:
    """A run that has just been made."""
    return RunAnswer(info=run_info(run), data=RunDataAnswer(tags=pairs(run.tags)), inputs=RunInputsAnswer())


def run_answer(found: RunData) -> RunAnswer:
    """A run with what was logged to it."""
    return RunAnswer(
        info=run_info(found.run),
        data=RunDataAnswer(
            metrics=[metric_answer(point) for point in found.latest],
            params=pairs(found.params),
            tags=pairs(found.run.tags),
        ),
        inputs=RunInputsAnswer(
            dataset_inputs=[_dataset_input(one) for one in found.datasets],
            model_inputs=[ModelInputAnswer(model) for model in found.model_inputs],
        ),
        outputs=RunOutputsAnswer([ModelOutputAnswer(output.model, output.step) for output in found.outputs]),
    )


def model_answer(found: LoggedModel) -> LoggedModelAnswer:
    """A logged model."""
    return LoggedModelAnswer(
        info=LoggedModelInfoAnswer(
            model_id=found.id,
            experiment_id=found.experiment,
            name=found.name,
            creation_timestamp_ms=milliseconds(found.created_at),
            last_updated_timestamp_ms=milliseconds(found.updated_at),
            artifact_uri=found.artifact_location,
            status=MODEL_STATUS[found.status],
            model_type=found.type,
            source_run_id=found.run or "",
            status_message=found.status_message,
            tags=pairs(found.tags),
        ),
        data=LoggedModelDataAnswer(params=pairs(found.params), metrics=run_points(found.metrics)),
    )


def version_answer(found: RegisteredVersion) -> ModelVersionAnswer:
    """A version of a registered model."""
    return ModelVersionAnswer(
        name=found.model,
        version=str(found.number),
        creation_timestamp=milliseconds(found.created_at),
        last_updated_timestamp=milliseconds(found.updated_at),
        current_stage=found.stage.value,
        description=found.description,
        source=address_of(found) if found.judged else found.source,
        run_id=found.run_id or "",
        status="READY",
        run_link=found.run_link or "",
        tags=pairs(found.tags),
        aliases=list(found.aliases),
    )


def latest_answer(found: RegisteredVersion) -> ModelVersionAnswer:
    """The newest version of a stage, which clients know without its aliases."""
    return version_answer(msgspec.structs.replace(found, aliases=()))


def registered_answer(found: RegisteredModel) -> RegisteredModelAnswer:
    """A registered model. Its aliases are told once: the newest versions within it bear none, as clients know it."""
    return RegisteredModelAnswer(
        name=found.name,
        creation_timestamp=milliseconds(found.created_at),
        last_updated_timestamp=milliseconds(found.updated_at),
        description=found.description,
        latest_versions=[latest_answer(one) for one in found.latest],
        tags=pairs(found.tags),
        aliases=[AliasAnswer(alias, str(number)) for alias, number in found.aliases.items()],
    )


def webhook_answer(found: Webhook) -> WebhookAnswer:
    """A webhook."""
    return WebhookAnswer(
        webhook_id=found.id,
        name=found.name,
        url=found.url,
        events=[_event_answer(event) for event in found.events],
        status=found.status.name,
        creation_timestamp=milliseconds(found.created_at),
        last_updated_timestamp=milliseconds(found.updated_at),
        description=found.description or "",
    )


def _event_answer(event: Event) -> EventAnswer:
    entity, _, action = event.value.upper().partition(".")
    return EventAnswer(entity, action)


def _dataset_input(read: DatasetInput) -> DatasetInputAnswer:
    dataset = read.dataset
    return DatasetInputAnswer(
        dataset=DatasetAnswer(
            dataset.name, dataset.digest, dataset.source_type, dataset.source, dataset.schema, dataset.profile
        ),
        tags=pairs(read.tags),
    )


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
