"""The table of endpoints: method, path, what is sent, and the function that answers."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from kept.mlflow_api import (
    artifacts,
    experiments,
    logged_models,
    metrics,
    model_versions,
    registered_models,
    runs,
    signed_addresses,
    webhooks,
)
from kept.mlflow_api import requests as sent
from kept.mlflow_api.call import Call
from kept.mlflow_api.decoding import Reader
from kept.mlflow_api.errors import ENDPOINT_NOT_FOUND, NOT_IMPLEMENTED, Refused, invalid

_Function = Callable[[Call, Any], msgspec.Struct]
_NAMED = re.compile(r"<(\w+)>")
_ELSEWHERE = {
    "assessments": "Assessments",
    "datasets": "Evaluation datasets",
    "demo": "Demonstrations",
    "gateway": "The AI gateway",
    "gateway-proxy": "The AI gateway",
    "genai": "Evaluations of GenAI",
    "get-online-trace-details": "Traces",
    "get-trace-artifact": "Traces",
    "issues": "Issues of traces",
    "jobs": "Jobs of GenAI",
    "label-schemas": "Reviews",
    "prompt-optimization": "The optimization of prompts",
    "review-queues": "Reviews",
    "runs/create-promptlab-run": "Prompts",
    "scorer": "Scorers",
    "scorers": "Scorers",
    "traces": "Traces",
    "unified-traces": "Traces",
    "workspaces": "Workspaces within a server",
}


class Endpoint(NamedTuple):
    """One endpoint: reads what is sent to it, and answers."""

    reader: Reader[Any]
    function: _Function


_TABLE: list[tuple[str, str, type[msgspec.Struct], _Function]] = [
    ("POST", "experiments/create", sent.CreateExperiment, experiments.create),
    ("GET", "experiments/get", sent.OfExperiment, experiments.get),
    ("GET", "experiments/get-by-name", sent.GetExperimentByName, experiments.get_by_name),
    ("GET", "experiments/search", sent.SearchExperiments, experiments.search),
    ("POST", "experiments/search", sent.SearchExperiments, experiments.search),
    ("POST", "experiments/update", sent.UpdateExperiment, experiments.update),
    ("POST", "experiments/delete", sent.OfExperiment, experiments.delete),
    ("POST", "experiments/restore", sent.OfExperiment, experiments.restore),
    ("POST", "experiments/set-experiment-tag", sent.SetExperimentTag, experiments.set_tag),
    ("POST", "experiments/delete-experiment-tag", sent.SetExperimentTag, experiments.delete_tag),
    ("POST", "experiments/search-datasets", sent.SearchDatasets, experiments.search_datasets),
    ("POST", "runs/create", sent.CreateRun, runs.create),
    ("GET", "runs/get", sent.OfRun, runs.get),
    ("POST", "runs/update", sent.UpdateRun, runs.update),
    ("POST", "runs/delete", sent.OfRun, runs.delete),
    ("POST", "runs/restore", sent.OfRun, runs.restore),
    ("POST", "runs/log-metric", sent.LogMetric, runs.log_metric),
    ("POST", "runs/log-parameter", sent.LogPair, runs.log_param),
    ("POST", "runs/log-batch", sent.LogBatch, runs.log_batch),
    ("POST", "runs/log-inputs", sent.LogInputs, runs.log_inputs),
    ("POST", "runs/outputs", sent.LogOutputs, runs.log_outputs),
    ("POST", "runs/log-model", sent.LogModel, runs.log_model),
    ("POST", "runs/set-tag", sent.LogPair, runs.set_tag),
    ("POST", "runs/delete-tag", sent.LogPair, runs.delete_tag),
    ("POST", "runs/search", sent.SearchRuns, runs.search),
    ("GET", "metrics/get-history", sent.GetMetricHistory, metrics.history),
    ("GET", "metrics/get-history-bulk", sent.GetMetricHistoryBulk, metrics.history_bulk),
    ("GET", "metrics/get-history-bulk-interval", sent.GetMetricHistoryBulkInterval, metrics.history_bulk_interval),
    ("GET", "artifacts/list", sent.ListArtifacts, artifacts.list_of_run),
    ("POST", "artifacts/presigned-upload-url", sent.SignUpload, signed_addresses.upload),
    ("POST", "artifacts/presigned-download-url", sent.SignDownload, signed_addresses.download),
    ("POST", "logged-models", sent.CreateLoggedModel, logged_models.create),
    ("POST", "logged-models/search", sent.SearchLoggedModels, logged_models.search),
    ("GET", "logged-models/<model_id>", sent.GetLoggedModel, logged_models.get),
    ("PATCH", "logged-models/<model_id>", sent.FinalizeLoggedModel, logged_models.finalize),
    ("DELETE", "logged-models/<model_id>", sent.GetLoggedModel, logged_models.delete),
    ("PATCH", "logged-models/<model_id>/tags", sent.LoggedModelPairs, logged_models.set_tags),
    ("DELETE", "logged-models/<model_id>/tags/<tag_key>", sent.DeleteLoggedModelTag, logged_models.delete_tag),
    ("POST", "logged-models/<model_id>/params", sent.LoggedModelPairs, logged_models.log_params),
    (
        "GET",
        "logged-models/<model_id>/artifacts/directories",
        sent.ListLoggedModelArtifacts,
        artifacts.list_of_model,
    ),
    ("POST", "registered-models/create", sent.CreateRegisteredModel, registered_models.create),
    ("GET", "registered-models/get", sent.OfRegisteredModel, registered_models.get),
    ("PATCH", "registered-models/update", sent.UpdateRegisteredModel, registered_models.update),
    ("POST", "registered-models/rename", sent.RenameRegisteredModel, registered_models.rename),
    ("DELETE", "registered-models/delete", sent.OfRegisteredModel, registered_models.delete),
    ("GET", "registered-models/search", sent.SearchRegistered, registered_models.search),
    ("GET", "registered-models/get-latest-versions", sent.GetLatestVersions, registered_models.latest_versions),
    ("POST", "registered-models/get-latest-versions", sent.GetLatestVersions, registered_models.latest_versions),
    ("POST", "registered-models/set-tag", sent.RegisteredModelTag, registered_models.set_tag),
    ("DELETE", "registered-models/delete-tag", sent.RegisteredModelTag, registered_models.delete_tag),
    ("GET", "registered-models/alias", sent.OfAlias, registered_models.get_by_alias),
    ("POST", "registered-models/alias", sent.SetAlias, registered_models.set_alias),
    ("DELETE", "registered-models/alias", sent.OfAlias, registered_models.delete_alias),
    ("POST", "model-versions/create", sent.CreateModelVersion, model_versions.create),
    ("GET", "model-versions/get", sent.OfModelVersion, model_versions.get),
    ("PATCH", "model-versions/update", sent.UpdateModelVersion, model_versions.update),
    ("DELETE", "model-versions/delete", sent.OfModelVersion, model_versions.delete),
    ("GET", "model-versions/search", sent.SearchRegistered, model_versions.search),
    ("GET", "model-versions/get-download-uri", sent.DownloadAddressWanted, model_versions.download_address),
    ("POST", "model-versions/transition-stage", sent.TransitionStage, model_versions.transition),
    ("POST", "model-versions/set-tag", sent.ModelVersionTag, model_versions.set_tag),
    ("DELETE", "model-versions/delete-tag", sent.ModelVersionTag, model_versions.delete_tag),
    ("POST", "webhooks", sent.CreateWebhook, webhooks.create),
    ("GET", "webhooks", sent.ListWebhooks, webhooks.search),
    ("GET", "webhooks/<webhook_id>", sent.OfWebhook, webhooks.get),
    ("PATCH", "webhooks/<webhook_id>", sent.UpdateWebhook, webhooks.update),
    ("DELETE", "webhooks/<webhook_id>", sent.OfWebhook, webhooks.delete),
    ("POST", "webhooks/<webhook_id>/test", sent.TestWebhook, webhooks.test),
]


class Endpoints:
    """Finds the endpoint of a method and a path, and answers what is asked of it."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Endpoint] = {}
        self._placed: list[tuple[str, re.Pattern[str], Endpoint]] = []
        self._encoder = msgspec.json.Encoder()
        for method, path, kind, function in _TABLE:
            endpoint = Endpoint(Reader(kind), function)
            if "<" in path:
                pattern = re.compile(_NAMED.sub(r"(?P<\1>[^/]+)", path))
                self._placed.append((method, pattern, endpoint))
            else:
                self._exact[method, path] = endpoint

    def answer(self, call: Call, method: str, path: str, query: bytes, body: bytes) -> bytes:
        """The answer as JSON."""
        endpoint, placed = self._find(method, path)
        request = endpoint.reader.query(query, placed) if method == "GET" else endpoint.reader.body(body, placed)
        return self._encoder.encode(endpoint.function(call, request))

    def _find(self, method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact, {}
        for verb, pattern, endpoint in self._placed:
            found = pattern.fullmatch(path) if verb == method else None
            if found is not None:
                return endpoint, found.groupdict()
        raise _absent(method, path)


def check_content(method: str, header: str | None) -> None:
    """Refuses a body that is not declared as JSON."""
    if method != "POST":
        return
    if header is None:
        raise invalid("Bad Request. Content-Type header is missing.")
    if header.partition(";")[0].strip().lower() != "application/json":
        raise invalid("Bad Request. Content-Type must be one of ['application/json'].")


def _absent(method: str, path: str) -> Refused:
    what = _ELSEWHERE.get(path) or _ELSEWHERE.get(path.partition("/")[0])
    if what is not None:
        return Refused(NOT_IMPLEMENTED, f"{what} of MLflow are not kept here: Kept keeps experiments and models.")
    return Refused(ENDPOINT_NOT_FOUND, f"No API found for '{method} {path}'")
