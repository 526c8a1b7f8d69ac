"""The table of operations: everything that a person or program can do, gathered from the parts."""

from typing import Any

from kept.app import processes
from kept.data import catalog as data
from kept.data import ingestion, labels
from kept.deployment import catalog as deployment
from kept.deployment import release, rollback
from kept.governance import journal
from kept.governance.operation import Operation, operations_in
from kept.loop import decisions, explain, incident_answers, rollout_report, story, trace
from kept.loop import status as loop_status
from kept.monitoring import alerts, causes, estimates, incidents, label_matches, skew
from kept.monitoring import catalog as monitoring
from kept.pipelines import catalog as pipelines
from kept.plan import catalog as plan
from kept.registry import adoption, collecting, consent, registered_models, registered_versions, webhooks
from kept.registry import catalog as registry
from kept.registry import importing as registry_importing
from kept.tracking import (
    artifacts,
    comparing,
    experiments,
    finding,
    importing,
    logged_models,
    receiving,
    recording,
    runs,
)

OPERATIONS: dict[str, Operation[Any, Any]] = operations_in(
    [
        adoption,
        alerts,
        incident_answers,
        artifacts,
        causes,
        collecting,
        comparing,
        consent,
        data,
        decisions,
        deployment,
        estimates,
        experiments,
        explain,
        finding,
        importing,
        incidents,
        ingestion,
        journal,
        label_matches,
        labels,
        logged_models,
        loop_status,
        monitoring,
        pipelines,
        plan,
        processes,
        receiving,
        recording,
        registered_models,
        registered_versions,
        registry,
        registry_importing,
        release,
        rollback,
        rollout_report,
        runs,
        skew,
        story,
        trace,
        webhooks,
    ]
)
