"""The HTTP face of the operations: one route for each, made from the table; nothing is decided here."""

from typing import Any

import anyio.to_thread
import msgspec
from litestar import HttpMethod, Request, Response, route
from litestar.handlers import HTTPRouteHandler

from kept.app.connection import route as path_of
from kept.core.errors import Invalid
from kept.governance.actor import Actor
from kept.governance.operation import Operation
from kept.governance.workspace import Workspace


def routes(table: dict[str, Operation[Any, Any]], workspace: Workspace, actor: Actor) -> list[HTTPRouteHandler]:
    """A `POST` route for each operation that can be called from elsewhere."""
    return [
        handler(operation, path_of(operation), workspace, actor) for operation in table.values() if operation.remote
    ]


def handler(operation: Operation[Any, Any], path: str, workspace: Workspace, actor: Actor) -> HTTPRouteHandler:
    """The route of one operation."""
    decoder = msgspec.json.Decoder(operation.request_type)
    encoder = msgspec.json.Encoder()

    def work(body: bytes, traceparent: bytes) -> bytes:
        try:
            request = decoder.decode(body or b"{}")
        except (msgspec.DecodeError, RecursionError) as error:
            fix = "See /api/v1/openapi.json for its form"
            raise Invalid(str(error), where=f"request of {operation.name}", fix=fix) from error
        return encoder.encode(operation(workspace.within_trace(traceparent), actor, request))

    async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
        body, traceparent = await request.body(), request.headers.get("traceparent", "").encode("latin-1")
        return Response(await anyio.to_thread.run_sync(work, body, traceparent), media_type="application/json")

    answer.__name__ = operation.name.replace(".", "_")
    made: HTTPRouteHandler = route(path, http_method=HttpMethod.POST, status_code=200, include_in_schema=False)(answer)
    return made


def describe(table: dict[str, Operation[Any, Any]], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of all routes, made from the same table."""
    remote = [operation for operation in table.values() if operation.remote]
    types = [kind for operation in remote for kind in (operation.request_type, operation.answer_type)]
    schemas, definitions = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths = {}
    for place, operation in enumerate(remote):
        request, answer = schemas[2 * place], schemas[2 * place + 1]
        paths[path_of(operation)] = {
            "post": {
                "operationId": operation.name,
                "tags": [operation.name.split(".")[0]],
                "summary": operation.summary.splitlines()[0],
                "description": operation.summary,
                "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
                "responses": {
                    "200": {"description": "Done", "content": {"application/json": {"schema": answer}}},
                    "default": {"description": "An error: what was wrong, where, and what to do"},
                },
                "x-permission": operation.needs.value,
                "x-audit": operation.audit.value,
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kept", "version": version},
        "paths": paths,
        "components": {"schemas": definitions},
    }
