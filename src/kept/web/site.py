"""The web server: operations, health, metrics and pages on one port."""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any

import msgspec
import prometheus_client
import uvicorn
from litestar import Litestar, MediaType, Response, get
from litestar.config.compression import CompressionConfig
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.types import Message, Scope

from kept import __version__
from kept.app.operations import OPERATIONS
from kept.core.errors import KeptError
from kept.core.listening import listen, most_connections
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.mlflow_api.routes import PATHS as MLFLOW_PATHS
from kept.mlflow_api.routes import health_route, mlflow_routes
from kept.monitoring.gauges import Gauges
from kept.settings.exposure import check_exposure
from kept.web.api import describe, handler, routes
from kept.web.assets import PREFIX, asset_route
from kept.web.bounded import BoundedProtocol, Patience
from kept.web.guards import Gate
from kept.web.pages.routes import page_routes
from kept.web.problems import answer_fault, answer_http_error, answer_kept_error

LARGEST_BODY = 64 * 1024 * 1024
# Plotly sets styles on what it draws; scripts come from our own files alone.
_POLICY = (
    b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    # To ourselves it must be told: a browser that tells nobody sends forms with no origin, and they are refused.
    (b"referrer-policy", b"same-origin"),
]


class _Site(Litestar):
    """The framework without its plugins for other kinds of types: ours are msgspec's, and pydantic takes long to load."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


def make_site(workspace: Workspace, actor: Actor) -> Litestar:
    """The application; whoever comes through the gate acts as `actor`."""
    labels = handler(OPERATIONS["labels.record"], "/api/v1/labels", workspace, actor)
    gate = Gate(workspace.settings)
    pages = [*page_routes(workspace, actor), asset_route()]
    guarded = [
        *routes(OPERATIONS, workspace, actor),
        labels,
        *pages,
        *mlflow_routes(workspace, actor, LARGEST_BODY),
        _openapi(),
        _metrics(workspace, actor),
    ]
    for route in guarded:
        route.guards = [*(route.guards or []), gate]
    return _Site(
        route_handlers=[*guarded, *_health(workspace), health_route()],
        exception_handlers={KeptError: answer_kept_error, HTTPException: answer_http_error, Exception: answer_fault},
        # Static files are compressed once, not at every answer; clients of MLflow gain nothing by it.
        compression_config=CompressionConfig(
            backend="gzip", minimum_size=4096, gzip_compress_level=5, exclude=[f"^{PREFIX}/", MLFLOW_PATHS]
        ),
        request_max_body_size=LARGEST_BODY,
        before_send=[_protect],
        openapi_config=None,
        logging_config=None,
    )


def serve_site(workspace: Workspace, actor: Actor, *, started: Callable[[], None]) -> None:
    """Listens until SIGTERM or SIGINT, then finishes what is in flight. `started` is called when it answers."""
    settings = workspace.settings
    check_exposure(settings.host, secret=bool(settings.token))
    with listen(settings.host, settings.port) as listener, suppress(KeyboardInterrupt):
        patience = Patience(connections=most_connections())
        config = uvicorn.Config(
            make_site(workspace, actor),
            http=partial(BoundedProtocol, patience),  # type: ignore[arg-type] # it is called like the class
            ws="none",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=10,
            # Training logs a step now and then: over one connection, not a new one each time.
            timeout_keep_alive=int(patience.silence),
        )
        _Server(config, started).run([listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, then says so."""
        await super().startup(sockets)
        self._tell()


async def _protect(message: Message, _: Scope) -> None:
    """Headers that keep a page to itself, on every answer, errors too."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], *_HEADERS]


def _health(workspace: Workspace) -> list[HTTPRouteHandler]:
    @get("/api/v1/health/live", include_in_schema=False)
    async def live() -> dict[str, bool]:
        return {"live": True}

    @get("/api/v1/health/ready", include_in_schema=False, sync_to_thread=True)
    def ready() -> dict[str, bool]:
        with workspace.database.reading():
            return {"ready": True}

    return [live, ready]


def _openapi() -> HTTPRouteHandler:
    @cache
    def description() -> bytes:
        return msgspec.json.encode(describe(OPERATIONS, __version__))

    @get("/api/v1/openapi.json", include_in_schema=False, sync_to_thread=True)
    def openapi() -> Response[bytes]:
        return Response(description(), media_type=MediaType.JSON)

    return openapi


def _metrics(workspace: Workspace, actor: Actor) -> HTTPRouteHandler:
    found = prometheus_client.CollectorRegistry(auto_describe=False)
    found.register(Gauges(workspace, actor))

    @get("/metrics", include_in_schema=False, sync_to_thread=True)
    def metrics() -> Response[Any]:
        text = prometheus_client.generate_latest() + prometheus_client.generate_latest(found)
        return Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return metrics
