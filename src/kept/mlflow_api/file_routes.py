"""The routes of files: through the proxy, as clients ask; and of runs, models and versions, as pages and scripts do."""

import re
from functools import partial
from typing import Any
from urllib.parse import unquote

import anyio.to_thread
from litestar import HttpMethod, Request, Response, get, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from kept.mlflow_api import artifacts, parts
from kept.mlflow_api.call import Call
from kept.mlflow_api.errors import BAD_REQUEST, HANDLERS, Refused, invalid, missing
from kept.mlflow_api.sending import send

PREFIXES = ("/api", "/ajax-api")
_ROOTS = [f"{prefix}/2.0/mlflow-artifacts" for prefix in PREFIXES]
_LARGEST_OF_A_PAGE = 10 * 1024 * 1024
_COMMON: dict[str, Any] = {"include_in_schema": False, "exception_handlers": HANDLERS, "status_code": 200}
_READ = [HttpMethod.GET, HttpMethod.HEAD]
_OF_MODEL = re.compile(r"logged-models/([^/]+)/artifacts/files")
_Request = Request[Any, Any, Any]


def file_routes(call: Call) -> list[HTTPRouteHandler]:
    """All routes of files."""
    return [*_proxy(call), *_parts(call), *_named(call)]


async def file_of_model(call: Call, path: str, request: _Request) -> Response[Any] | None:
    """A file of a logged model, where the path of the endpoint asks for one; it stands among those of the table."""
    found = _OF_MODEL.fullmatch(path) if request.method in {"GET", "HEAD"} else None
    if found is None:
        return None
    name = request.query_params.get("artifact_file_path")
    if not name:
        raise Refused(BAD_REQUEST, 'Request must include the "artifact_file_path" query parameter.')
    return await send(partial(artifacts.find_of_model, call, found[1], name), request)


def _proxy(call: Call) -> list[HTTPRouteHandler]:
    files = [f"{root}/artifacts/{{path:path}}" for root in _ROOTS]

    @get([f"{root}/artifacts" for root in _ROOTS], **_COMMON)
    async def list_files(request: _Request) -> Any:
        return await anyio.to_thread.run_sync(artifacts.list_folder, call, str(request.query_params.get("path", "")))

    @route(files, http_method=_READ, **_COMMON)
    async def download(request: _Request, path: FromPath[str]) -> Response[Any]:
        return await send(partial(artifacts.find, call, _place(request, path)), request)

    @route(files, http_method=HttpMethod.PUT, request_max_body_size=None, **_COMMON)
    async def upload(request: _Request, path: FromPath[str]) -> dict[str, str]:
        await artifacts.upload(call, _place(request, path), request)
        return {}

    @route(files, http_method=HttpMethod.DELETE, **_COMMON)
    async def delete(request: _Request, path: FromPath[str]) -> dict[str, str]:
        await anyio.to_thread.run_sync(artifacts.delete, call, _place(request, path))
        return {}

    @get([f"{root}/presigned/{{path:path}}" for root in _ROOTS], **_COMMON)
    async def presigned(request: _Request, path: FromPath[str]) -> Any:
        return await anyio.to_thread.run_sync(parts.address, call, path.removeprefix("/"), request)

    return [list_files, download, upload, delete, presigned]


def _parts(call: Call) -> list[HTTPRouteHandler]:
    @route([f"{root}/mpu/create/{{path:path}}" for root in _ROOTS], http_method=HttpMethod.POST, **_COMMON)
    async def create(request: _Request, path: FromPath[str]) -> Any:
        body = await request.body()
        return await anyio.to_thread.run_sync(parts.create, call, path.removeprefix("/"), body, request)

    @route(
        f"{parts.ROOT}/mpu/part/{{key:str}}/{{number:int}}",
        http_method=HttpMethod.PUT,
        request_max_body_size=None,
        **_COMMON,
    )
    async def put(request: _Request, key: FromPath[str], number: FromPath[int]) -> Response[bytes]:
        tag = await parts.put(call, key, number, request)
        return Response(b"", headers={"ETag": f'"{tag}"'})

    @route([f"{root}/mpu/complete/{{path:path}}" for root in _ROOTS], http_method=HttpMethod.POST, **_COMMON)
    async def complete(request: _Request, path: FromPath[str]) -> dict[str, str]:
        body = await request.body()
        await anyio.to_thread.run_sync(parts.complete, call, path.removeprefix("/"), body)
        return {}

    @route([f"{root}/mpu/abort/{{path:path}}" for root in _ROOTS], http_method=HttpMethod.POST, **_COMMON)
    async def abort(request: _Request, path: FromPath[str]) -> dict[str, str]:
        body = await request.body()
        await anyio.to_thread.run_sync(parts.abort, call, path.removeprefix("/"), body)
        return {}

    return [create, put, complete, abort]


def _named(call: Call) -> list[HTTPRouteHandler]:
    @route("/get-artifact", http_method=_READ, **_COMMON)
    async def of_run(request: _Request) -> Response[Any]:
        run = request.query_params.get("run_id") or request.query_params.get("run_uuid") or ""
        return await send(partial(artifacts.find_of_run, call, run, _asked(request, "path")), request)

    @route("/model-versions/get-artifact", http_method=_READ, **_COMMON)
    async def of_version(request: _Request) -> Response[Any]:
        name, version, path = (_asked(request, field) for field in ("name", "version", "path"))
        return await send(partial(artifacts.find_of_version, call, name, version, path), request)

    @route("/ajax-api/2.0/mlflow/upload-artifact", http_method=HttpMethod.POST, **_COMMON)
    async def upload(request: _Request) -> Response[bytes]:
        for field in ("run_uuid", "path"):
            if not request.query_params.get(field):
                raise invalid(f"Request must specify {field}.")
        if int(request.headers.get("content-length") or 0) > _LARGEST_OF_A_PAGE:
            raise invalid("Artifact size is too large. Max size is 10MB.")
        run, path = _asked(request, "run_uuid"), _asked(request, "path")
        place = await anyio.to_thread.run_sync(artifacts.place_of_run, call, run, path)
        sent = await request.body()
        if not sent:
            raise invalid("Request must specify data.")
        if len(sent) > _LARGEST_OF_A_PAGE:  # nobody has to announce it
            raise invalid("Artifact size is too large. Max size is 10MB.")
        await artifacts.upload(call, place, request)
        return Response(b"", media_type="application/json")

    return [of_run, of_version, upload]


def _place(request: _Request, path: str) -> str:
    """The path of a file; refused when it begins at a root, which the framework has taken away."""
    if unquote(request.scope["raw_path"].decode("latin-1")).partition("/artifacts/")[2].startswith("/"):
        raise invalid("Invalid path")
    return path.removeprefix("/")


def _asked(request: _Request, field: str) -> str:
    value: str | None = request.query_params.get(field)
    if not value:
        raise missing(field)
    return value
