"""Answers GraphQL, as MLflow's pages and some scripts ask: each field of a query is one of the endpoints.

What can be asked, and what is refused, is what the endpoint says; only the fields that were asked for are answered.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from kept.core.errors import KeptError
from kept.mlflow_api import requests as sent
from kept.mlflow_api.call import Call
from kept.mlflow_api.endpoints import Endpoints
from kept.mlflow_api.errors import Refused, invalid, sentence_of
from kept.mlflow_api.graph_language import Document, Field, GraphFault, Operation, Selection, Variable, read
from kept.mlflow_api.graph_limits import check_size, fields_of
from kept.mlflow_api.graph_types import NOTHING, TYPES
from kept.mlflow_api.spelling import camel

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_RUN = "MlflowRunExtension"
_MOST_VALUES = 1_000_000
"""How many values an answer can hold: aliases within each other would multiply what is found, until no memory is left."""
_LOOKED_UP = 100
"""As many values what is looked up for a run counts, as it takes that long."""


class _Root(NamedTuple):
    """A field of a query: the type of its answer and the endpoint that gives it, with what may be sent there."""

    kind: str
    method: str
    path: str
    sent: type[msgspec.Struct]


_RUNS = _Root("MlflowSearchRunsResponse", "POST", "runs/search", sent.SearchRuns)
_ROOTS = {
    "query": {
        "mlflowGetExperiment": _Root("MlflowGetExperimentResponse", "GET", "experiments/get", sent.OfExperiment),
        "mlflowGetRun": _Root("MlflowGetRunResponse", "GET", "runs/get", sent.OfRun),
        "mlflowGetMetricHistoryBulkInterval": _Root(
            "MlflowGetMetricHistoryBulkIntervalResponse",
            "GET",
            "metrics/get-history-bulk-interval",
            sent.GetMetricHistoryBulkInterval,
        ),
        "mlflowListArtifacts": _Root("MlflowListArtifactsResponse", "GET", "artifacts/list", sent.ListArtifacts),
        "mlflowSearchModelVersions": _Root(
            "MlflowSearchModelVersionsResponse", "GET", "model-versions/search", sent.SearchRegistered
        ),
        "mlflowSearchRuns": _RUNS,
    },
    "mutation": {
        "mlflowSearchDatasets": _Root(
            "MlflowSearchDatasetsResponse", "POST", "experiments/search-datasets", sent.SearchDatasets
        ),
        "mlflowSearchRuns": _RUNS,
    },
}


class _Asked(msgspec.Struct):
    """What a client sends."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(name="operationName", default=None)


_ASKED = msgspec.json.Decoder(_Asked)


class _Answered(msgspec.Struct):
    """What it gets: the fields that could be answered, and why others could not."""

    data: dict[str, Any] | None
    errors: list[str] | None


def answer(endpoints: Endpoints, call: Call, body: bytes) -> bytes:
    """The answer to a query as JSON."""
    try:
        asked = _ASKED.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"Invalid request: {error}.") from error
    try:
        document = read(asked.query)
        check_size(document)
        operation = document.operation(asked.operation_name)
        answered = _Query(endpoints, call, document, operation, asked.variables or {}).answer()
    except GraphFault as error:
        answered = _Answered(None, [str(error)])
    except RecursionError:
        answered = _Answered(None, ["Variables are nested too deep."])
    return msgspec.json.encode(answered)


class _Query:
    """One operation of one document."""

    def __init__(
        self, endpoints: Endpoints, call: Call, document: Document, operation: Operation, given: Mapping[str, Any]
    ) -> None:
        self._endpoints = endpoints
        self._call = call
        self._document = document
        self._operation = operation
        self._given = given
        self._room = _MOST_VALUES
        self._found: dict[tuple[str, str], dict[str, Any]] = {}

    def answer(self) -> _Answered:
        """What is asked for, checked as a whole before anything is looked up."""
        roots = _ROOTS[self._operation.sort]
        kind = self._operation.sort.capitalize()
        fields = self._fields(self._operation.selections, kind)
        asked: dict[str, dict[str, Any]] = {}
        for key, (field, selections) in fields.items():
            if field.name == "__typename":
                continue
            if field.name not in roots:
                raise GraphFault(f"Cannot query field '{field.name}' on type '{kind}'.")
            asked[key] = self._input(field, roots[field.name])
            self._check(roots[field.name].kind, field, selections)
        data: dict[str, Any] = {}
        errors: list[str] = []
        for key, (field, selections) in fields.items():
            try:
                data[key] = kind if key not in asked else self._root(roots[field.name], asked[key], selections)
            except (Refused, KeptError) as error:
                data[key] = None
                errors.append(error.message if isinstance(error, Refused) else sentence_of(error))
        return _Answered(data, errors or None)

    def _root(self, root: _Root, values: Mapping[str, Any], selections: Sequence[Selection]) -> Any:
        return self._object(root.kind, selections, self._told(root, values))

    def _told(self, root: _Root, values: Mapping[str, Any]) -> dict[str, Any]:
        """What an endpoint answers."""
        named = {_snake(name): value for name, value in values.items() if value is not None}
        query = urlencode(named, doseq=True).encode() if root.method == "GET" else b""
        told = self._endpoints.answer(self._call, root.method, root.path, query, msgspec.json.encode(named))
        found: dict[str, Any] = msgspec.json.decode(told)
        return found

    def _input(self, field: Field, root: _Root) -> dict[str, Any]:
        for name in field.arguments:
            if name != "input":
                kind = self._operation.sort.capitalize()
                raise GraphFault(f"Unknown argument '{name}' on field '{kind}.{field.name}'.")
        values = self._valued(field.arguments.get("input", {}))
        if not isinstance(values, dict):
            raise GraphFault(f"Expected the input of '{field.name}' to be an object.")
        known = {camel(name) for name in root.sent.__struct_fields__}
        for name in values:
            if name not in known:
                raise GraphFault(f"Field '{name}' is not defined by type '{root.kind.replace('Response', 'Input')}'.")
        return values

    def _valued(self, value: Any) -> Any:
        """A value with those that came beside the query in their places."""
        if isinstance(value, Variable):
            declared = self._operation.variables.get(value.name)
            if declared is None:
                raise GraphFault(f"Variable '${value.name}' is not defined.")
            found = self._given.get(value.name, declared.default)
            if found is None and declared.kind.endswith("!"):
                raise GraphFault(f"Variable '${value.name}' of required type '{declared.kind}' was not provided.")
            return found
        if isinstance(value, dict):
            return {name: self._valued(one) for name, one in value.items()}
        return [self._valued(one) for one in value] if isinstance(value, list) else value

    def _fields(self, selections: Sequence[Selection], kind: str) -> dict[str, tuple[Field, tuple[Selection, ...]]]:
        """The fields of an object by the names they are answered under, with all that is asked of each."""
        found: dict[str, tuple[Field, tuple[Selection, ...]]] = {}
        for field in fields_of(tuple(selections), self._document.fragments, kind):
            before, asked = found.get(field.key, (field, ()))
            if (before.name, before.arguments) != (field.name, field.arguments):
                raise GraphFault(
                    f"Fields '{field.key}' conflict because they are not the same field with the same arguments. "
                    "Use different aliases on the fields to fetch both if this was intentional."
                )
            found[field.key] = (field, (*asked, *field.selections))
        return found

    def _check(self, kind: str, field: Field, selections: Sequence[Selection]) -> None:
        """Refuses fields that there are not."""
        if kind not in TYPES:
            if selections:
                raise GraphFault(
                    f"Field '{field.name}' must not have a selection since type '{kind}' has no subfields."
                )
            return
        if not selections:
            raise GraphFault(
                f"Field '{field.name}' of type '{kind}' must have a selection of subfields. "
                f"Did you mean '{field.name} {{ ... }}'?"
            )
        for inner, below in self._fields(selections, kind).values():
            if inner.name == "__typename":
                continue
            if inner.name not in TYPES[kind]:
                raise GraphFault(f"Cannot query field '{inner.name}' on type '{kind}'.")
            if inner.arguments:
                raise GraphFault(f"Unknown argument '{next(iter(inner.arguments))}' on field '{kind}.{inner.name}'.")
            self._check(TYPES[kind][inner.name].strip("[]"), inner, below)

    def _object(self, kind: str, selections: Sequence[Selection], value: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, (field, below) in self._fields(selections, kind).items():
            if field.name == "__typename":
                found[key] = kind
                continue
            inner = TYPES[kind][field.name]
            held = value.get(_snake(field.name)) if kind != _RUN else self._of_run(field.name, value)
            if inner.startswith("["):
                found[key] = [self._value(inner.strip("[]"), below, one) for one in held or []]
            else:
                found[key] = self._value(inner, below, held)
        return found

    def _of_run(self, name: str, run: Mapping[str, Any]) -> Any:
        """A field of a run; its experiment and the versions of models that it made are looked up."""
        if name == "experiment":
            return self._found_once("mlflowGetExperiment", "experimentId", run["info"]["experiment_id"])["experiment"]
        if name == "modelVersions":
            wanted = f"run_id='{run['info']['run_id']}'"
            return self._found_once("mlflowSearchModelVersions", "filter", wanted).get("model_versions")
        return run.get(_snake(name))

    def _found_once(self, root: str, field: str, value: str) -> dict[str, Any]:
        if (root, value) not in self._found:
            self._take(_LOOKED_UP)
            self._found[root, value] = self._told(_ROOTS["query"][root], {field: value})
        return self._found[root, value]

    def _take(self, values: int) -> None:
        self._room -= values
        if self._room < 0:
            raise GraphFault(f"Query exceeds maximum of {_MOST_VALUES} values answered")

    def _value(self, kind: str, selections: Sequence[Selection], value: Any) -> Any:
        self._take(1)
        if kind == "ApiError":
            return None  # errors are told beside the data
        if kind in TYPES:
            return self._object(kind, selections, value or {})
        if value is None:
            return NOTHING[kind]
        if kind == "Float":
            return _finite(float(value))
        return str(value) if kind == "Long" else value


def _finite(value: float) -> float | None:
    """A number as JSON has it: NaN is none, and an infinity the largest there is."""
    if math.isnan(value):
        return None
    return math.copysign(sys.float_info.max, value) if math.isinf(value) else value


def _snake(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()
