"""What the API's endpoints answer to one query."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from kept.mlflow_api.call import Call
from kept.mlflow_api.endpoints import Endpoints
from kept.mlflow_api.graph_limits import Room

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_LOOKED_UP = 100
"""As many values what is looked up for a run counts, as it takes that long."""
_ENDPOINTS = {
    "mlflowGetExperiment": ("GET", "experiments/get"),
    "mlflowGetMetricHistoryBulkInterval": ("GET", "metrics/get-history-bulk-interval"),
    "mlflowGetRun": ("GET", "runs/get"),
    "mlflowListArtifacts": ("GET", "artifacts/list"),
    "mlflowSearchDatasets": ("POST", "experiments/search-datasets"),
    "mlflowSearchModelVersions": ("GET", "model-versions/search"),
    "mlflowSearchRuns": ("POST", "runs/search"),
}


class Lookups:
    """Asks the endpoints, as long as there is room in the answer."""

    def __init__(self, endpoints: Endpoints, call: Call) -> None:
        self._endpoints = endpoints
        self._call = call
        self._found: dict[tuple[str, str], dict[str, Any]] = {}
        self.room = Room()

    def told(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the endpoint behind a field of a query answers, by its own names."""
        method, path = _ENDPOINTS[name]
        named = {snake(key): value for key, value in values.items() if value is not None}
        query = urlencode(named, doseq=True).encode() if method == "GET" else b""
        told = self._endpoints.answer(self._call, method, path, query, msgspec.json.encode(named))
        found: dict[str, Any] = msgspec.json.decode(told)
        return found

    def experiment_of(self, run: Mapping[str, Any]) -> Any:
        """The experiment of a run."""
        return self._told_once("mlflowGetExperiment", "experimentId", run["info"]["experiment_id"])["experiment"]

    def versions_of(self, run: Mapping[str, Any]) -> Any:
        """The versions of models that a run made."""
        wanted = f"run_id='{run['info']['run_id']}'"
        return self._told_once("mlflowSearchModelVersions", "filter", wanted).get("model_versions", [])

    def _told_once(self, name: str, field: str, value: str) -> dict[str, Any]:
        if (name, value) not in self._found:
            self.room.take(_LOOKED_UP)
            self._found[name, value] = self.told(name, {field: value})
        return self._found[name, value]


def snake(name: str) -> str:
    """A name as the endpoints spell it."""
    return _CAPITAL.sub("_", name).lower()
