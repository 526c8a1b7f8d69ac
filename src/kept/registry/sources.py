"""Validating the source of a version that a client registers, against the run or logged model that it names.

A client may name only files that belong to the run or logged model it gives, or a store of its own: no path of the
server, and no files of others.
"""

import posixpath
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

import msgspec
from sqlalchemy import Connection

from kept.core.errors import Invalid, NotFound
from kept.governance.workspace import Workspace
from kept.registry.names import LATEST, check_model_name, stage_of, version_number
from kept.registry.records.registered import model_by_name, newest_registered, registered_by_number
from kept.registry.registered import RegisteredModel, RegisteredVersion
from kept.registry.requests import CreateVersion
from kept.tracking.location import check_address
from kept.tracking.logged_model import LoggedModel
from kept.tracking.records.models import model_by_id
from kept.tracking.run import Run
from kept.tracking.runs import get_run

_LOCAL = {"", "file"}
_HOST_SCHEMES = {
    "abfss",
    "b2",
    "ftp",
    "hdfs",
    "http",
    "https",
    "mlflow-artifacts",
    "r2",
    "sftp",
    "viewfs",
}
_DECODINGS = 10
_PROXY = ("api", "2.0", "mlflow-artifacts", "artifacts")


class Origin(NamedTuple):
    """What is known of a version's source."""

    source: str
    location: str
    run_id: str | None
    logged_model: str | None


def origin_of(workspace: Workspace, connection: Connection, request: CreateVersion) -> Origin:
    """The source with the place of its files, and with the run and logged model that it comes from."""
    for address in (request.source, _shown(request.source)):
        check_address(address, "source")
    _check_host(request.source, workspace.settings.source_schemes)
    request, registered = _followed(connection, request)
    model = None
    if request.logged_model:
        model = _check_of_model(connection, request.source, request.logged_model)
    else:
        _check_of_run(workspace, request.source, request.run_id)
    location = request.source
    if registered is not None:
        location = registered.location
    elif model is not None and urlsplit(request.source).scheme == "models":
        location = model.artifact_location
    run_id = request.run_id or (model.run if model else None)
    return Origin(request.source, location, run_id, request.logged_model or None)


def named_version(connection: Connection, address: str) -> RegisteredVersion | None:
    """The version that `models:/NAME/NUMBER`, `/STAGE`, `/latest` or `@ALIAS` names; None for a logged model."""
    path = urlsplit(address)._replace(scheme="").geturl().lstrip("/")
    if not path.strip():
        raise _invalid(address, "model_id")
    name, at, alias = path.rpartition("@")
    if at:
        return _aliased(connection, _known(connection, name), alias)
    name, slash, reference = path.partition("/")
    if not slash:
        return None
    if not name or not reference or "/" in reference:
        raise _invalid(address, "model_id")
    model = _known(connection, name)
    if reference.isdecimal():
        found = registered_by_number(connection, name, version_number(reference))
        absent = f"Model Version (name={name}, version={reference}) not found"
    elif reference.lower() == LATEST:
        found = newest_registered(connection, name)
        absent = f"No versions of model with name '{name}' found"
    else:
        stage = stage_of(reference)
        found = next((one for one in model.latest if one.stage is stage), None)
        absent = f"No versions of model with name '{name}' and stage '{reference}' found"
    if found is None:
        raise NotFound(absent)
    return found


def _known(connection: Connection, name: str) -> RegisteredModel:
    check_model_name(name)
    model = model_by_name(connection, name)
    if model is None:
        raise NotFound(f"Registered Model with name={name} not found")
    return model


def _aliased(connection: Connection, model: RegisteredModel, alias: str) -> RegisteredVersion | None:
    if alias not in model.aliases:
        raise Invalid(f"Registered model alias {alias} not found.")
    return registered_by_number(connection, model.name, model.aliases[alias])


def _followed(connection: Connection, request: CreateVersion) -> tuple[CreateVersion, RegisteredVersion | None]:
    """The request with what a registered version that is its source tells; and that version."""
    parts = urlsplit(request.source)
    if parts.scheme != "models":
        return request, None
    if parts.netloc:
        rule = "Registered model sources must use the active model registry."
        raise Invalid(f"Invalid model version source: '{request.source}'. {rule}")
    found = named_version(connection, request.source)
    if found is None:
        return request, None
    if found.judged:
        what = f"Invalid model version source: '{request.source}'. Kept trained and judged this version"
        raise Invalid(f"{what}: it is a bundle, which is released, and not a folder that can be registered again.")
    asked = (request.run_id, request.logged_model)
    for given, known in zip(asked, (found.run_id, found.logged_model), strict=True):
        if given is not None and given != (known or ""):
            rule = "The run_id and model_id request parameters must match the referenced model version."
            raise Invalid(f"Invalid model version source: '{request.source}'. {rule}")
    source = f"models:/{found.model}/{found.number}"
    followed = msgspec.structs.replace(
        request,
        source=source,
        run_id=found.run_id if request.run_id is None else request.run_id,
        logged_model=found.logged_model if request.logged_model is None else request.logged_model,
    )
    return followed, found


def _check_of_model(connection: Connection, source: str, logged_model: str) -> LoggedModel:
    model = model_by_id(connection, logged_model)
    parts = urlsplit(source)
    if model is None:
        if parts.scheme in _LOCAL or parts.scheme in {"models", "runs"} or _is_proxied(source):
            raise _invalid(source, "model_id")
        _check_path(source)
        raise NotFound(f"Logged model with ID '{logged_model}' not found.")
    if parts.scheme in _LOCAL:
        if not _within(source, model.artifact_location):
            raise _local(source, "model_id")
        return model
    _check_path(source)
    is_registered = "/" in parts.path.lstrip("/") or "@" in parts.path
    if parts.scheme == "models" and not is_registered and parts.path.lstrip("/") != logged_model:
        raise _invalid(source, "model_id")
    if parts.scheme == "runs" or (_is_proxied(source) and not _within(source, model.artifact_location)):
        raise _invalid(source, "model_id")
    return model


def _check_of_run(workspace: Workspace, source: str, run_id: str | None) -> None:
    parts = urlsplit(source)
    if parts.scheme in _LOCAL:
        if not run_id or not _within(source, _run(workspace, run_id, source).artifact_location):
            raise _local(source, "run_id")
        return
    _check_path(source)
    if parts.scheme == "runs":
        if not run_id or parts.netloc or parts.path.strip("/").partition("/")[0] != run_id:
            raise _invalid(source, "run_id")
    elif parts.scheme == "models" and "/" not in parts.path.lstrip("/") and "@" not in parts.path:
        raise _invalid(source, "model_id")
    elif _is_proxied(source) and not (run_id and _within(source, _run(workspace, run_id, source).artifact_location)):
        raise _invalid(source, "run_id")


def _run(workspace: Workspace, run_id: str, source: str) -> Run:
    try:
        return get_run(workspace, run_id)
    except NotFound as error:
        raise _invalid(source, "run_id") from error


def _check_host(source: str, allowed: str) -> None:
    """Refuses an address that names a host of its own, as nobody says that it may be spoken to."""
    parts = urlsplit(source)
    scheme = parts.scheme.lower()
    if scheme not in _HOST_SCHEMES or (scheme == "mlflow-artifacts" and not parts.netloc):
        return
    if scheme not in {one.strip().lower() for one in allowed.split(",")}:
        raise Invalid(
            f"'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host other than the tracking "
            "server's configured artifact storage, so the server would connect to the host named in the URI. Set the "
            "MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES environment variable on the server to allow it."
        )


def _check_path(source: str) -> None:
    """Refuses an address that leads elsewhere than it seems."""
    plain = _shown(source)
    path = urlsplit(plain).path.rstrip("/")
    while "//" in path:
        path = path.replace("//", "/")
    if "\0" in plain or ".." in plain.split("/") or not path.startswith("/") or posixpath.normpath(path) != path:
        rule = (
            "If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an "
            "absolute path must be provided without relative path references present. Please provide an absolute path."
        )
        raise Invalid(f"Invalid model version source: '{source}'. {rule}")


def _shown(address: str, decode: Callable[[str], str] = unquote_plus) -> str:
    """An address without what hides letters in it, however often that was done; refused when it was done too often.

    Each time takes as long as the address is, and a long one can hide letters half as often as it has any.
    """
    plain = address
    for _ in range(_DECODINGS):
        if (shown := decode(plain)) == plain:
            return plain
        plain = shown
    raise Invalid(f"Invalid model version source: '{address:.200}'. It is encoded more than {_DECODINGS - 1} times.")


def _within(source: str, root: str) -> bool:
    """Whether an address is that of the root, or one below it."""
    inner, outer = _parts(source), _parts(root)
    return bool(outer[2]) and inner[:2] == outer[:2] and inner[2][: len(outer[2])] == outer[2] and ".." not in inner[2]


def _parts(address: str) -> tuple[str, str, tuple[str, ...]]:
    parts = urlsplit(address)
    scheme = "file" if parts.scheme.lower() in _LOCAL else parts.scheme.lower()
    path = _shown(parts.path, unquote)
    return scheme, parts.netloc.lower(), tuple(part for part in PurePosixPath(path).parts if part != "/")


def _is_proxied(source: str) -> bool:
    scheme, _, parts = _parts(source)
    if scheme == "mlflow-artifacts":
        return True
    starts = range(len(parts) - len(_PROXY) + 1)
    return scheme in {"http", "https"} and any(parts[start : start + len(_PROXY)] == _PROXY for start in starts)


def _local(source: str, field: str) -> Invalid:
    return Invalid(
        f"Invalid model version source: '{source}'. To use a local path as a model version source, the {field} "
        "request parameter has to be specified and the local path has to be contained within the artifact directory of "
        f"the run specified by the {field}."
    )


def _invalid(source: str, field: str) -> Invalid:
    return Invalid(
        f"Invalid model version source: '{source}'. The {field} request parameter must identify the resource that "
        "contains the source."
    )
