"""The error tree as HTTP answers."""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from kept.app.connection import Problem
from kept.core.errors import (
    CheckFailed,
    Conflict,
    Damaged,
    Forbidden,
    Invalid,
    KeptError,
    NotFound,
    Unavailable,
)

_STATUS: dict[type[KeptError], int] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    CheckFailed: 422,
    Damaged: 500,
    Unavailable: 503,
}


def answer_kept_error(_: Request[Any, Any, Any], error: KeptError) -> Response[bytes]:
    """An error of the tree, with its three parts."""
    problem = Problem(error=type(error).__name__, what=error.what, where=error.where, fix=error.fix)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    headers = {"Retry-After": "1"} if status == 503 else {}
    return _answer(problem, status, headers)


def answer_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """An error of the web framework, in the same form."""
    kind = {400: "Invalid", 401: "Forbidden", 403: "Forbidden", 404: "NotFound"}.get(error.status_code, "Invalid")
    where = None
    what = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        first = error.extra[0]
        where, what = str(first.get("key") or "body"), str(first.get("message", what))
    return _answer(Problem(error=kind, what=what, where=where), error.status_code, {})


def _answer(problem: Problem, status: int, headers: dict[str, str]) -> Response[bytes]:
    body = msgspec.json.encode(problem)
    return Response(body, status_code=status, media_type="application/json", headers=headers)
