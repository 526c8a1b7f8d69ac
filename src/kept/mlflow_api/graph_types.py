"""The types of what queries are answered with: for each its fields, and of what type each of these is.

A type in brackets is a list. `Long` is a whole number of 64 bits, sent as text. What an answer of the API leaves out is
sent as nothing of its type: an empty text, 0, false, an empty list, an object of such.
"""

_PAIR = {"key": "String", "value": "String"}
_METRIC_OF_RUN = {"key": "String", "value": "Float", "timestamp": "Long", "step": "Long", "runId": "String"}
_METRIC = {**_METRIC_OF_RUN, "datasetName": "String", "datasetDigest": "String", "modelId": "String"}
_ERROR = {"apiError": "ApiError"}
_PAGED = {**_ERROR, "nextPageToken": "String"}

NOTHING = {"String": "", "Long": "0", "Float": 0.0, "Boolean": False}
TYPES: dict[str, dict[str, str]] = {
    "ApiError": {"code": "String", "message": "String", "helpUrl": "String", "traceId": "String"},
    "MlflowGetExperimentResponse": {**_ERROR, "experiment": "MlflowExperiment"},
    "MlflowExperiment": {
        "experimentId": "String",
        "name": "String",
        "artifactLocation": "String",
        "lifecycleStage": "String",
        "lastUpdateTime": "Long",
        "creationTime": "Long",
        "tags": "[MlflowExperimentTag]",
        "workspace": "String",
    },
    "MlflowExperimentTag": _PAIR,
    "MlflowGetRunResponse": {**_ERROR, "run": "MlflowRunExtension"},
    "MlflowSearchRunsResponse": {**_PAGED, "runs": "[MlflowRunExtension]"},
    "MlflowRunExtension": {
        "info": "MlflowRunInfo",
        "data": "MlflowRunData",
        "inputs": "MlflowRunInputs",
        "outputs": "MlflowRunOutputs",
        "experiment": "MlflowExperiment",
        "modelVersions": "[MlflowModelVersion]",
    },
    "MlflowRunInfo": {
        "runId": "String",
        "runUuid": "String",
        "runName": "String",
        "experimentId": "String",
        "userId": "String",
        "status": "String",
        "startTime": "Long",
        "endTime": "Long",
        "artifactUri": "String",
        "lifecycleStage": "String",
    },
    "MlflowRunData": {"metrics": "[MlflowMetricExtension]", "params": "[MlflowParam]", "tags": "[MlflowRunTag]"},
    "MlflowMetricExtension": _METRIC,
    "MlflowParam": _PAIR,
    "MlflowRunTag": _PAIR,
    "MlflowRunInputs": {"datasetInputs": "[MlflowDatasetInput]", "modelInputs": "[MlflowModelInput]"},
    "MlflowDatasetInput": {"dataset": "MlflowDataset", "tags": "[MlflowInputTag]"},
    "MlflowDataset": {
        "name": "String",
        "digest": "String",
        "sourceType": "String",
        "source": "String",
        "schema": "String",
        "profile": "String",
    },
    "MlflowInputTag": _PAIR,
    "MlflowModelInput": {"modelId": "String"},
    "MlflowRunOutputs": {"modelOutputs": "[MlflowModelOutput]"},
    "MlflowModelOutput": {"modelId": "String", "step": "Long"},
    "MlflowGetMetricHistoryBulkIntervalResponse": {**_ERROR, "metrics": "[MlflowMetricWithRunId]"},
    "MlflowMetricWithRunId": _METRIC_OF_RUN,
    "MlflowListArtifactsResponse": {**_PAGED, "rootUri": "String", "files": "[MlflowFileInfo]"},
    "MlflowFileInfo": {"path": "String", "isDir": "Boolean", "fileSize": "Long"},
    "MlflowSearchDatasetsResponse": {**_ERROR, "datasetSummaries": "[MlflowDatasetSummary]"},
    "MlflowDatasetSummary": {"experimentId": "String", "name": "String", "digest": "String", "context": "String"},
    "MlflowSearchModelVersionsResponse": {**_PAGED, "modelVersions": "[MlflowModelVersion]"},
    "MlflowModelVersion": {
        "name": "String",
        "version": "String",
        "creationTimestamp": "Long",
        "lastUpdatedTimestamp": "Long",
        "userId": "String",
        "currentStage": "String",
        "description": "String",
        "source": "String",
        "runId": "String",
        "status": "String",
        "statusMessage": "String",
        "tags": "[MlflowModelVersionTag]",
        "runLink": "String",
        "aliases": "[String]",
        "modelId": "String",
        "modelParams": "[MlflowModelParam]",
        "modelMetrics": "[MlflowModelMetric]",
    },
    "MlflowModelVersionTag": _PAIR,
    "MlflowModelParam": {"name": "String", "value": "String"},
    "MlflowModelMetric": _METRIC,
}
