"""What the specification of OpenLineage says of a run event, in our own words."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

# Of each facet that is sent: where it may stand, and what it must hold.
FACETS: dict[str, tuple[str, dict[str, type]]] = {
    "nominalTime": ("run", {"nominalStartTime": str}),
    "errorMessage": ("run", {"message": str, "programmingLanguage": str}),
    "jobType": ("job", {"processingType": str, "integration": str}),
    "documentation": ("job", {"description": str}),
    "ownership": ("job", {"owners": list}),
    "schema": ("dataset", {"fields": list}),
    "version": ("dataset", {"datasetVersion": str}),
    "parent": ("run", {"run": dict, "job": dict}),
}


def check(event: dict[str, Any]) -> None:
    """What the specification says of a run event: its fields, their forms, and the facets it knows."""
    assert set(event) == {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
    assert event["eventType"] in {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert re.fullmatch(
        r"https://openlineage.io/spec/\d+-\d+-\d+/OpenLineage.json#/\$defs/RunEvent", event["schemaURL"]
    )
    is_address(event["producer"])
    assert set(event["run"]) <= {"runId", "facets"}
    assert str(UUID(event["run"]["runId"])) == event["run"]["runId"]
    check_facets(event["run"]["facets"], "run")
    assert set(event["job"]) <= {"namespace", "name", "facets"}
    assert event["job"]["namespace"]
    assert event["job"]["name"]
    check_facets(event["job"]["facets"], "job")
    for dataset in [*event["inputs"], *event["outputs"]]:
        assert set(dataset) <= {"namespace", "name", "facets", "inputFacets", "outputFacets"}
        assert dataset["namespace"]
        assert dataset["name"]
        check_facets(dataset["facets"], "dataset")


def check_facets(facets: dict[str, Any], where: str) -> None:
    for name, facet in facets.items():
        place, needed = FACETS[name]
        assert place == where
        is_address(facet["_producer"])
        is_address(facet["_schemaURL"])
        assert facet["_schemaURL"].rpartition("/")[2].lower().startswith(name.lower().removeprefix("version"))
        for field, kind in needed.items():
            assert isinstance(facet[field], kind), (name, field)
    for field in facets.get("schema", {}).get("fields", ()):
        assert isinstance(field["name"], str)
    for owner in facets.get("ownership", {}).get("owners", ()):
        assert isinstance(owner["name"], str)


def is_address(text: str) -> None:
    parts = urlsplit(text)
    assert parts.scheme
    assert parts.netloc
