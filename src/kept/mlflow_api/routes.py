"""The routes of MLflow's REST API: under `/api` as clients ask, and under `/ajax-api` as its pages do."""

from typing import Any

import anyio.to_thread
from litestar import HttpMethod, Request, Response, asgi, get, post, route
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.params import FromPath
from litestar.types import Receive, Scope, Send

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.mlflow_api.call import Call
from kept.mlflow_api.endpoints import Endpoints, check_content
from kept.mlflow_api.errors import HANDLERS
from kept.mlflow_api.exchange import Exchange
from kept.mlflow_api.file_routes import PREFIXES, file_of_model, file_routes

PATHS = r"^/((ajax-)?api/\d\.0/?mlflow|get-artifact|model-versions/get-artifact|graphql)"
"""Everything below these paths is spoken in MLflow's words."""
SPOKEN = "3.17.2"
"""The version of MLflow whose API this is."""
_VERBS = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PATCH, HttpMethod.PUT, HttpMethod.DELETE]
_HOT = (
    "runs/create",
    "runs/get",
    "runs/log-batch",
    "runs/log-metric",
    "runs/log-parameter",
    "runs/set-tag",
    "runs/update",
)
# Parts and ranges are served to whoever asks for them, and not offered: on one stream a file is as fast, and this client
# cannot send a file named by a `Path` in parts.
_SERVER = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
    "presigned_upload_run_id_supported": False,
    "presigned_upload_model_id_supported": False,
    "features_enabled": {"gateway": False},
}
_Request = Request[Any, Any, Any]


def mlflow_routes(workspace: Workspace, actor: Actor, largest_body: int) -> list[HTTPRouteHandler | ASGIRouteHandler]:
    """All routes of this door; whoever comes through acts as `actor`. Only files may be larger than the largest body."""
    call, endpoints = Call(workspace, actor), Endpoints()
    hot = _hot(call, endpoints, largest_body)
    return [_server(), _version(), hot, _table(call, endpoints), _graph(call, endpoints), *file_routes(call)]


def _hot(call: Call, endpoints: Endpoints, largest_body: int) -> ASGIRouteHandler:
    """The endpoints that training waits for at every step, past the framework's objects."""
    root = f"{PREFIXES[0]}/2.0/mlflow/"

    @asgi([root + path for path in _HOT], exception_handlers=HANDLERS, copy_scope=False)
    async def hot(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        check_content(exchange.method, exchange.header(b"content-type"))
        body = await exchange.body(largest_body)
        path, query = scope["path"].removeprefix(root), scope["query_string"]
        asked = call.within_trace(exchange.header(b"traceparent"))
        await exchange.answer(
            await anyio.to_thread.run_sync(endpoints.answer, asked, exchange.method, path, query, body)
        )

    return hot


def _table(call: Call, endpoints: Endpoints) -> HTTPRouteHandler:
    paths = [f"{prefix}/{version}/mlflow/{{path:path}}" for prefix in PREFIXES for version in ("2.0", "3.0")]
    # A client asks for this one without the slash.
    paths += [f"{prefix}/2.0mlflow/{{path:path}}" for prefix in PREFIXES]

    @route(paths, http_method=_VERBS, status_code=200, include_in_schema=False, exception_handlers=HANDLERS)
    async def mlflow(request: _Request, path: FromPath[str]) -> Response[Any]:
        if (file := await file_of_model(call, path.strip("/"), request)) is not None:
            return file
        check_content(request.method, request.headers.get("content-type"))
        body = await request.body()
        query: bytes = request.scope["query_string"]
        asked = call.within_trace(request.headers.get("traceparent"))
        answer = await anyio.to_thread.run_sync(endpoints.answer, asked, request.method, path.strip("/"), query, body)
        return Response(answer, media_type="application/json")

    return mlflow


def _graph(call: Call, endpoints: Endpoints) -> HTTPRouteHandler:
    @post("/graphql", status_code=200, include_in_schema=False, exception_handlers=HANDLERS)
    async def graph(request: _Request) -> Response[Any]:
        check_content(request.method, request.headers.get("content-type"))
        body = await request.body()
        asked = call.within_trace(request.headers.get("traceparent"))
        answer = await anyio.to_thread.run_sync(_answer_to_query, endpoints, asked, body)
        return Response(answer, media_type="application/json")

    return graph


def _answer_to_query(endpoints: Endpoints, call: Call, body: bytes) -> bytes:
    from kept.mlflow_api import graph_queries  # noqa: PLC0415 - the language is read only where it is spoken

    return graph_queries.answer(endpoints, call, body)


def _server() -> HTTPRouteHandler:
    paths = [f"{prefix}/3.0/mlflow/server-info" for prefix in PREFIXES]

    @get(paths, include_in_schema=False, exception_handlers=HANDLERS)
    async def server_info() -> dict[str, Any]:
        return _SERVER

    return server_info


def _version() -> HTTPRouteHandler:
    @get("/version", include_in_schema=False, media_type="text/plain", exception_handlers=HANDLERS)
    async def version() -> str:
        return SPOKEN

    return version


def health_route() -> HTTPRouteHandler:
    """Where clients look whether the server is up, before they have said who they are."""

    @get("/health", include_in_schema=False, media_type="text/plain", exception_handlers=HANDLERS)
    async def health() -> str:
        return "OK"

    return health
