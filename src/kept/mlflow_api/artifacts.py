"""Endpoints of files: listed below runs and logged models, and through the proxy written, read, listed and deleted.

What goes through the proxy is streamed: at most a piece of it is in memory.
"""

import posixpath
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio.to_thread
from litestar import Request

from kept.core.errors import NotFound
from kept.mlflow_api import model_versions, runs
from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import FileAnswer, Files
from kept.mlflow_api.call import Call
from kept.mlflow_api.errors import NOT_IMPLEMENTED, Refused, invalid
from kept.mlflow_api.version_files import find_file, is_of_version, list_files, refuse_change
from kept.tracking import artifacts as verbs
from kept.tracking import logged_models
from kept.tracking import requests as asked
from kept.tracking.artifact_files import FileEntry, Upload
from kept.tracking.location import place_of

_PIECE = 1 << 20
_DECODINGS = 10


def list_of_run(call: Call, request: sent.ListArtifacts) -> Files:
    """What is in a folder of a run."""
    return _listed(call, _location(call, request.run), request.path)


def list_of_model(call: Call, request: sent.ListLoggedModelArtifacts) -> Files:
    """What is in a folder of a logged model."""
    found = call.do(logged_models.show_logged_model, asked.ShowLoggedModel(model=request.model_id))
    return _listed(call, found.artifact_location, request.artifact_directory_path)


def list_folder(call: Call, path: str) -> Files:
    """What is in a folder, by the last part of its name."""
    place = safe(path)
    if is_of_version(place):
        found = list_files(call, place)
    else:
        found = call.do(verbs.list_artifacts, verbs.ListArtifacts(path=place))
    return Files(files=[_file(one, posixpath.basename(one.path)) for one in found])


def delete(call: Call, path: str) -> None:
    """Deletes a file or a folder; what is not there is deleted already."""
    place = safe(path)
    refuse_change(place)
    try:
        call.do(verbs.delete_artifact, verbs.DeleteArtifact(path=place))
    except NotFound:
        return


async def upload(call: Call, path: str, request: Request[Any, Any, Any]) -> None:
    """Keeps the body of a request as a file."""
    place = safe(path)
    refuse_change(place)
    begun = await anyio.to_thread.run_sync(verbs.begin_artifact, call.workspace, call.actor, place)
    try:
        await receive(request, begun)
        await anyio.to_thread.run_sync(verbs.end_artifact, call.workspace, call.actor, place, begun)
    finally:
        begun.abandon()


def find(call: Call, path: str) -> Path:
    """Where a file of the proxy is."""
    return _opened(call, safe(path))


def find_of_run(call: Call, run: str, path: str) -> Path:
    """Where a file of a run is."""
    place = safe(path)
    return _find_below(call, _location(call, run), place)


def place_of_run(call: Call, run: str, path: str) -> str:
    """The place in the proxy of a file of a run."""
    return _folder(_location(call, run), safe(path))


def find_of_model(call: Call, model: str, path: str) -> Path:
    """Where a file of a logged model is."""
    place = safe(path)
    found = call.do(logged_models.show_logged_model, asked.ShowLoggedModel(model=model))
    return _find_below(call, found.artifact_location, place)


def find_of_version(call: Call, name: str, version: str, path: str) -> Path:
    """Where a file of a version of a registered model is."""
    place = safe(path)
    request = sent.DownloadAddressWanted(name=name, version=version)
    return _find_below(call, model_versions.download_address(call, request).artifact_uri, place)


def safe(path: str) -> str:
    """A path below the folder of all files; refused when, decoded as often as can be, it could lead out of it."""
    decoded = path
    for _ in range(_DECODINGS):
        following = unquote(decoded)
        if following == decoded:
            break
        decoded = following
    parts = decoded.split("/")
    within = not decoded.startswith("/") and decoded[1:2] != ":" and not decoded.lower().startswith("file:")
    if not within or ".." in parts or any(one in decoded for one in "#\\\0"):
        raise invalid("Invalid path")
    return "/".join(part for part in parts if part not in {"", "."})


async def receive(request: Request[Any, Any, Any], begun: Upload) -> None:
    """Writes the body of a request, a piece at a time."""
    waiting: list[bytes] = []
    size = 0
    async for piece in request.stream():
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            await anyio.to_thread.run_sync(begun.write, b"".join(waiting))
            waiting.clear()
            size = 0
    if waiting:
        await anyio.to_thread.run_sync(begun.write, b"".join(waiting))


def _location(call: Call, run: str) -> str:
    return runs.show(call, sent.OfRun(run_id=run)).run.artifact_location


def _listed(call: Call, location: str, below: str | None) -> Files:
    inner = safe(below or "")
    found = call.do(verbs.list_artifacts, verbs.ListArtifacts(path=_folder(location, inner)))
    names = [(one, posixpath.join(inner, posixpath.basename(one.path))) for one in found]
    return Files(root_uri=location, files=[_file(one, name) for one, name in names])


def _find_below(call: Call, location: str, place: str) -> Path:
    return _opened(call, _folder(location, place))


def _opened(call: Call, place: str) -> Path:
    if is_of_version(place):
        return find_file(call, place)
    try:
        return verbs.open_artifact(call.workspace, call.actor, place)
    except NotFound:
        if call.do(verbs.list_artifacts, verbs.ListArtifacts(path=place)):
            raise invalid(f"Artifact path refers to a directory, not a file: '{place}'") from None
        raise


def _folder(location: str, inner: str) -> str:
    """The place in the proxy of what is below a location."""
    place = place_of(location)
    if place is None:
        raise Refused(NOT_IMPLEMENTED, f"The files stand at {location}, where this server does not look.")
    return "/".join(part for part in (place, inner) if part)


def _file(entry: FileEntry, name: str) -> FileAnswer:
    return FileAnswer(path=name, is_dir=entry.folder, file_size=entry.size)
