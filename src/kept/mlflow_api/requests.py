"""The schema of MLflow's requests. A field without a default must be there and must not be empty."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from kept.mlflow_api.errors import missing

Filled = Annotated[str, Meta(min_length=1)]
Long = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Integer = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Pair(Struct):
    """A tag or a parameter within a list."""

    key: Filled
    value: str | None = None


class Nothing(Struct):
    """A request without fields."""


class OfRun(Struct):
    """A request that names a run, by its field's newer or older name."""

    run_id: str | None = None
    run_uuid: str | None = None

    @property
    def run(self) -> str:
        """The run's id."""
        run = self.run_id or self.run_uuid
        if not run:
            raise missing("run_id")
        return run


class CreateExperiment(Struct):
    """`experiments/create`."""

    name: Filled
    artifact_location: str | None = None
    tags: list[Pair] | None = None


class OfExperiment(Struct):
    """A request that names an experiment."""

    experiment_id: Filled


class GetExperimentByName(Struct):
    """`experiments/get-by-name`."""

    experiment_name: Filled


class UpdateExperiment(Struct):
    """`experiments/update`."""

    experiment_id: Filled
    new_name: Filled


class SetExperimentTag(Struct):
    """`experiments/set-experiment-tag` and `delete-experiment-tag`."""

    experiment_id: Filled
    key: Filled
    value: str | None = None


class SearchExperiments(Struct):
    """`experiments/search`."""

    view_type: str | int | None = None
    max_results: Long | None = None
    order_by: list[str] | None = None
    filter: str | None = None
    page_token: str | None = None


class SearchDatasets(Struct):
    """`experiments/search-datasets`."""

    experiment_ids: list[str] | None = None


class CreateRun(Struct):
    """`runs/create`."""

    experiment_id: str | None = None
    start_time: Long | None = None
    run_name: str | None = None
    user_id: str | None = None
    tags: list[Pair] | None = None


class UpdateRun(OfRun):
    """`runs/update`."""

    end_time: Long | None = None
    status: str | int | None = None
    run_name: str | None = None


class LogMetric(OfRun, kw_only=True):
    """`runs/log-metric`."""

    key: Filled
    value: float
    timestamp: Long
    step: Long | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogPair(OfRun, kw_only=True):
    """`runs/log-parameter`, `set-tag` and `delete-tag`."""

    key: Filled
    value: str | None = None


class MetricOfBatch(Struct):
    """A point within a batch."""

    key: Filled
    value: float
    timestamp: Long
    step: Long | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogBatch(OfRun):
    """`runs/log-batch`."""

    metrics: list[MetricOfBatch] | None = None
    params: list[Pair] | None = None
    tags: list[Pair] | None = None


class LogModel(OfRun, kw_only=True):
    """`runs/log-model`, as older clients send it."""

    model_json: Filled


class DatasetSent(Struct):
    """A dataset."""

    name: str | None = None
    digest: str | None = None
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class DatasetInputSent(Struct):
    """A dataset that was read, and what for."""

    tags: list[Pair] | None = None
    dataset: DatasetSent = msgspec.field(default_factory=DatasetSent)


class ModelSent(Struct):
    """A logged model that a run read or made."""

    model_id: str | None = None
    step: Long | None = None


class LogInputs(OfRun):
    """`runs/log-inputs`."""

    datasets: list[DatasetInputSent] | None = None
    models: list[ModelSent] | None = None


class LogOutputs(OfRun, kw_only=True):
    """`runs/outputs`."""

    models: list[ModelSent]


class SearchRuns(Struct):
    """`runs/search`."""

    experiment_ids: list[str] | None = None
    filter: str | None = None
    max_results: Annotated[int, Meta(le=50_000)] | None = None
    order_by: list[str] | None = None
    run_view_type: str | int | None = None
    page_token: str | None = None


class GetMetricHistory(OfRun, kw_only=True):
    """`metrics/get-history`."""

    metric_key: Filled
    page_token: str | None = None
    max_results: Integer | None = None


class GetMetricHistoryBulk(Struct):
    """`metrics/get-history-bulk`."""

    run_id: list[str] | None = None
    metric_key: str | None = None
    max_results: Integer | None = None


class GetMetricHistoryBulkInterval(Struct):
    """`metrics/get-history-bulk-interval`."""

    run_ids: list[str]
    metric_key: Filled
    start_step: Integer | None = None
    end_step: Integer | None = None
    max_results: Integer | None = None


class ListArtifacts(OfRun):
    """`artifacts/list`."""

    path: str | None = None


class SignUpload(Struct):
    """`artifacts/presigned-upload-url`."""

    path: Filled
    run_id: str | None = None
    model_id: str | None = None
    expiration: Long | None = None


class SignDownload(Struct):
    """`artifacts/presigned-download-url`."""

    run_id: Filled
    path: Filled
    expiration: Long | None = None


class CreateLoggedModel(Struct):
    """`logged-models`."""

    experiment_id: Filled
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[Pair] | None = None
    tags: list[Pair] | None = None


class GetLoggedModel(Struct):
    """`logged-models/<model_id>`."""

    model_id: Filled
    allow_deleted: bool | None = None


class FinalizeLoggedModel(Struct):
    """`logged-models/<model_id>`, at the end of its making."""

    model_id: Filled
    status: str | int


class LoggedModelPairs(Struct):
    """`logged-models/<model_id>/tags` and `params`."""

    model_id: Filled
    tags: list[Pair] | None = None
    params: list[Pair] | None = None


class DeleteLoggedModelTag(Struct):
    """`logged-models/<model_id>/tags/<tag_key>`."""

    model_id: Filled
    tag_key: Filled


class DatasetWanted(Struct):
    """Only points measured on this dataset."""

    dataset_name: str | None = None
    dataset_digest: str | None = None


class OrderWanted(Struct):
    """One key to sort by."""

    field_name: str | None = None
    ascending: bool | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class SearchLoggedModels(Struct):
    """`logged-models/search`."""

    experiment_ids: list[str]
    filter: str | None = None
    datasets: list[DatasetWanted] | None = None
    max_results: Integer | None = None
    order_by: list[OrderWanted] | None = None
    page_token: str | None = None


class ListLoggedModelArtifacts(Struct):
    """`logged-models/<model_id>/artifacts/directories`."""

    model_id: Filled
    artifact_directory_path: str | None = None


class TagSent(Struct):
    """A tag within a list. That it has a name is seen to where it is kept."""

    key: str = ""
    value: str | None = None


class CreateRegisteredModel(Struct):
    """`registered-models/create`."""

    name: Filled
    tags: list[TagSent] | None = None
    description: str | None = None


class OfRegisteredModel(Struct):
    """A request that names a registered model."""

    name: Filled


class UpdateRegisteredModel(Struct):
    """`registered-models/update`."""

    name: Filled
    description: str | None = None


class RenameRegisteredModel(Struct):
    """`registered-models/rename`."""

    name: Filled
    new_name: Filled


class RegisteredModelTag(Struct):
    """`registered-models/set-tag` and `delete-tag`."""

    name: Filled
    key: Filled
    value: str | None = None


class SearchRegistered(Struct):
    """`registered-models/search` and `model-versions/search`."""

    filter: str | None = None
    max_results: Long | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class GetLatestVersions(Struct):
    """`registered-models/get-latest-versions`."""

    name: Filled
    stages: list[str] | None = None


class OfAlias(Struct):
    """`registered-models/alias`, to get it or to delete it."""

    name: Filled
    alias: Filled


class SetAlias(Struct):
    """`registered-models/alias`."""

    name: Filled
    alias: Filled
    version: Filled


class CreateModelVersion(Struct):
    """`model-versions/create`."""

    name: Filled
    source: Filled
    run_id: str | None = None
    tags: list[TagSent] | None = None
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


class OfModelVersion(Struct):
    """A request that names a version."""

    name: Filled
    version: Filled


class DownloadAddressWanted(Struct):
    """`model-versions/get-download-uri`."""

    name: str = ""
    version: str = ""


class UpdateModelVersion(Struct):
    """`model-versions/update`."""

    name: Filled
    version: Filled
    description: str | None = None


class TransitionStage(Struct):
    """`model-versions/transition-stage`."""

    name: Filled
    version: Filled
    stage: Filled
    archive_existing_versions: bool | int | str | None = None
    """Only true and false will do, not the words for them."""


class ModelVersionTag(Struct):
    """`model-versions/set-tag` and `delete-tag`."""

    name: Filled
    version: Filled
    key: Filled
    value: str | None = None


class EventSent(Struct):
    """An event within a list: what it happens to, and what happens, by name or by number."""

    entity: int | str
    action: int | str


class CreateWebhook(Struct):
    """`webhooks`."""

    name: Filled
    url: Filled
    events: list[EventSent]
    description: str | None = None
    secret: str | None = None
    status: int | str | None = None


class OfWebhook(Struct):
    """`webhooks/<webhook_id>`."""

    webhook_id: Filled


class ListWebhooks(Struct):
    """`webhooks`, to list them."""

    max_results: Integer | None = None
    page_token: str | None = None


class UpdateWebhook(Struct):
    """`webhooks/<webhook_id>`, to change it."""

    webhook_id: Filled
    name: str | None = None
    description: str | None = None
    url: str | None = None
    events: list[EventSent] | None = None
    secret: str | None = None
    status: int | str | None = None


class TestWebhook(Struct):
    """`webhooks/<webhook_id>/test`."""

    webhook_id: Filled
    event: EventSent | None = None
