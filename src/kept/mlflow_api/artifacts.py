"""Endpoints of files: listed below runs and logged models, and through the proxy written, read, listed and deleted.

What goes through the proxy is streamed: at most a piece of it is in memory.
"""

import mimetypes
import posixpath
from collections.abc import AsyncIterator
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit

import anyio.to_thread
from litestar import Request
from litestar.response import Stream

from kept.core.errors import NotFound
from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import FileAnswer, Files
from kept.mlflow_api.call import Call
from kept.mlflow_api.errors import NOT_IMPLEMENTED, Refused, invalid
from kept.tracking import artifacts as verbs
from kept.tracking import logged_models, runs
from kept.tracking import requests as asked
from kept.tracking.artifact_files import FileEntry, Upload

_PIECE = 1 << 20
_SCHEME = "mlflow-artifacts"
_DECODINGS = 10
_TEXT_SUFFIXES = {".cfg", ".conda", ".ini", ".log", ".md", ".mlproject", ".txt", ".yaml", ".yml"}


def list_of_run(call: Call, request: sent.ListArtifacts) -> Files:
    """What is in a folder of a run."""
    return _listed(call, call.do(runs.show_run, runs.ShowRun(run=request.run)).run.artifact_location, request.path)


def list_of_model(call: Call, request: sent.ListLoggedModelArtifacts) -> Files:
    """What is in a folder of a logged model."""
    found = call.do(logged_models.show_logged_model, asked.ShowLoggedModel(model=request.model_id))
    return _listed(call, found.artifact_location, request.artifact_directory_path)


def list_folder(call: Call, path: str) -> Files:
    """What is in a folder, by the last part of its name."""
    found = call.do(verbs.list_artifacts, verbs.ListArtifacts(path=safe(path)))
    return Files(files=[_file(one, posixpath.basename(one.path)) for one in found])


def delete(call: Call, path: str) -> None:
    """Deletes a file or a folder; what is not there is deleted already."""
    try:
        call.do(verbs.delete_artifact, verbs.DeleteArtifact(path=safe(path)))
    except NotFound:
        return


async def upload(call: Call, path: str, request: Request[Any, Any, Any]) -> None:
    """Keeps the body of a request as a file."""
    place = safe(path)
    begun = await anyio.to_thread.run_sync(verbs.begin_artifact, call.workspace, call.actor, place)
    try:
        await _receive(request, begun)
        await anyio.to_thread.run_sync(verbs.end_artifact, call.workspace, call.actor, place, begun)
    finally:
        begun.abandon()


async def download(call: Call, path: str) -> Stream:
    """A file as the body of an answer."""
    place = safe(path)

    def find() -> tuple[IO[bytes], int]:
        found = verbs.open_artifact(call.workspace, call.actor, place)
        return found.open("rb"), found.stat().st_size

    stream, size = await anyio.to_thread.run_sync(find)
    name = posixpath.basename(place)
    return Stream(
        _pieces(stream),
        media_type=_media_type(name),
        headers={
            "Content-Length": str(size),
            # A page within a file is never shown under this server's name.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        },
    )


def safe(path: str) -> str:
    """A path below the folder of all files; refused when, decoded as often as can be, it could lead out of it."""
    decoded = path
    for _ in range(_DECODINGS):
        following = unquote(decoded)
        if following == decoded:
            break
        decoded = following
    parts = decoded.split("/")
    if "#" in decoded or "\\" in decoded or ".." in parts or decoded.startswith("/") or decoded[1:2] == ":":
        raise invalid("Invalid path")
    return "/".join(part for part in parts if part not in {"", "."})


async def _receive(request: Request[Any, Any, Any], begun: Upload) -> None:
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


async def _pieces(stream: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while piece := await anyio.to_thread.run_sync(stream.read, _PIECE):
            yield piece
    finally:
        stream.close()


def _listed(call: Call, location: str, below: str | None) -> Files:
    parts = urlsplit(location)
    if parts.scheme != _SCHEME:
        raise Refused(NOT_IMPLEMENTED, f"The files stand at {location}, where this server does not look.")
    inner = safe(below or "")
    folder = "/".join(part for part in (parts.path.strip("/"), inner) if part)
    found = call.do(verbs.list_artifacts, verbs.ListArtifacts(path=folder))
    names = [(one, posixpath.join(inner, posixpath.basename(one.path))) for one in found]
    return Files(root_uri=location, files=[_file(one, name) for one, name in names])


def _file(entry: FileEntry, name: str) -> FileAnswer:
    return FileAnswer(path=name, is_dir=entry.folder, file_size=entry.size)


def _media_type(name: str) -> str:
    if posixpath.splitext(name)[1].lower() in _TEXT_SUFFIXES or name in {"MLmodel", "MLproject"}:
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
