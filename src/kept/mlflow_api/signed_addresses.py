"""Addresses at which a store of its own gives a file, or takes one, past the server: this server's files have none.

They go through the proxy. Clients are told so by the server before they ask.
"""

from typing import NoReturn
from urllib.parse import urlsplit

from kept.mlflow_api import requests as sent
from kept.mlflow_api.artifacts import safe
from kept.mlflow_api.call import Call
from kept.mlflow_api.errors import NOT_IMPLEMENTED, Refused, invalid
from kept.mlflow_api.runs import show
from kept.tracking.logged_models import show_logged_model
from kept.tracking.requests import ShowLoggedModel

_LONGEST = 604_800
_PROXIED = {"http", "https", "mlflow-artifacts"}


def upload(call: Call, request: sent.SignUpload) -> NoReturn:
    """Refuses to give an address for a file of a run or of a logged model."""
    if bool(request.run_id) == bool(request.model_id):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    safe(request.path)
    if request.run_id:
        location = show(call, sent.OfRun(run_id=request.run_id)).run.artifact_location
    else:
        location = call.do(show_logged_model, ShowLoggedModel(model=request.model_id or "")).artifact_location
    raise _refusal(
        location,
        "Presigned upload is not supported for proxied artifact storage",
        "This endpoint requires a direct cloud storage artifact URI.",
    )


def download(call: Call, request: sent.SignDownload) -> NoReturn:
    """Refuses to give an address of a file of a run."""
    safe(request.path)
    if request.expiration is not None and not 1 <= request.expiration <= _LONGEST:
        raise invalid(f"expiration must be between 1 and {_LONGEST} seconds (got {request.expiration}).")
    raise _refusal(
        show(call, sent.OfRun(run_id=request.run_id)).run.artifact_location,
        "Presigned download is not supported for runs with proxied artifact storage",
        "This endpoint requires a run with a direct cloud storage artifact URI.",
    )


def _refusal(location: str, what: str, needed: str) -> Refused:
    scheme = urlsplit(location).scheme
    if scheme in _PROXIED:
        return invalid(f"{what} (artifact URI scheme: {scheme}). {needed}")
    return Refused(NOT_IMPLEMENTED, f"The files stand at {location}, where this server does not look.")
