"""Endpoints of experiments."""

from pathlib import Path
from urllib.parse import unquote, urlparse

from kept.core.errors import Conflict
from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import (
    DatasetSummaries,
    DatasetSummaryAnswer,
    Done,
    ExperimentCreated,
    Experiments,
    OneExperiment,
    experiment_answer,
)
from kept.mlflow_api.call import Call, experiment_of, limit_of, texts, view_of
from kept.mlflow_api.errors import INVALID_STATE, Refused, invalid
from kept.tracking import experiments as verbs
from kept.tracking import finding
from kept.tracking import requests as asked
from kept.tracking.experiment import Lifecycle
from kept.tracking.location import check_address

_MOST_EXPERIMENTS = 20


def create(call: Call, request: sent.CreateExperiment) -> ExperimentCreated:
    """Makes an experiment."""
    location = _location(request.artifact_location) if request.artifact_location else None
    made = call.do(
        verbs.create_experiment,
        asked.CreateExperiment(name=request.name, artifact_location=location, tags=texts(request.tags)),
    )
    return ExperimentCreated(made.id)


def get(call: Call, request: sent.OfExperiment) -> OneExperiment:
    """An experiment."""
    found = call.do(verbs.show_experiment, asked.ShowExperiment(experiment=experiment_of(request.experiment_id)))
    return OneExperiment(experiment_answer(found))


def get_by_name(call: Call, request: sent.GetExperimentByName) -> OneExperiment:
    """The experiment with a name."""
    found = call.do(verbs.find_experiment, asked.FindExperiment(name=request.experiment_name))
    return OneExperiment(experiment_answer(found))


def search(call: Call, request: sent.SearchExperiments) -> Experiments:
    """A page of experiments that fit."""
    page = call.do(
        verbs.search_experiments,
        asked.SearchExperiments(
            filter=request.filter or "",
            order_by=request.order_by or [],
            view=view_of(request.view_type),
            limit=limit_of(request.max_results),
            page=request.page_token or None,
        ),
    )
    return Experiments([experiment_answer(one) for one in page.experiments], page.next_page)


def update(call: Call, request: sent.UpdateExperiment) -> Done:
    """Gives an experiment another name."""
    number = experiment_of(request.experiment_id)
    try:
        call.do(verbs.update_experiment, asked.UpdateExperiment(experiment=number, name=request.new_name))
    except Conflict as error:
        if call.do(verbs.show_experiment, asked.ShowExperiment(experiment=number)).lifecycle is Lifecycle.DELETED:
            raise Refused(INVALID_STATE, error.what) from error
        raise
    return Done()


def delete(call: Call, request: sent.OfExperiment) -> Done:
    """Deletes an experiment with its runs."""
    call.do(verbs.delete_experiment, asked.DeleteExperiment(experiment=experiment_of(request.experiment_id)))
    return Done()


def restore(call: Call, request: sent.OfExperiment) -> Done:
    """Brings an experiment back with its runs."""
    call.do(verbs.restore_experiment, asked.RestoreExperiment(experiment=experiment_of(request.experiment_id)))
    return Done()


def set_tag(call: Call, request: sent.SetExperimentTag) -> Done:
    """Sets a tag of an experiment."""
    asking = asked.SetExperimentTag(
        experiment=experiment_of(request.experiment_id), name=request.key, value=request.value or ""
    )
    call.do(verbs.set_experiment_tag, asking)
    return Done()


def delete_tag(call: Call, request: sent.SetExperimentTag) -> Done:
    """Removes a tag of an experiment."""
    asking = asked.DeleteExperimentTag(experiment=experiment_of(request.experiment_id), name=request.key)
    call.do(verbs.delete_experiment_tag, asking)
    return Done()


def search_datasets(call: Call, request: sent.SearchDatasets) -> DatasetSummaries:
    """Datasets that runs of experiments read."""
    experiments = request.experiment_ids or []
    if not experiments:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(experiments) > _MOST_EXPERIMENTS:
        raise invalid(
            f"SearchDatasets request cannot specify more than {_MOST_EXPERIMENTS} experiment_ids. "
            f"Received {len(experiments)} experiment_ids."
        )
    found = call.do(finding.search_datasets, asked.SearchDatasets(experiments=experiments))
    return DatasetSummaries([DatasetSummaryAnswer(one.experiment, one.name, one.digest, one.context) for one in found])


def _location(address: str) -> str:
    """The address under which files stand; a path of this machine that is not whole begins where the server runs."""
    check_address(address, "artifact_location")
    parts = urlparse(address)  # which knows in which addresses a semicolon begins parameters
    if parts.fragment or parts.params:
        raise invalid("'artifact_location' URL can't include fragments or params.")
    if ".." in unquote(unquote(parts.query)):
        raise invalid("Invalid query string")
    if parts.scheme in {"", "file"} and not parts.netloc and not parts.path.startswith("/"):
        whole = (Path.cwd() / parts.path).as_posix()
        return f"file://{whole}" if parts.scheme else whole
    return address
