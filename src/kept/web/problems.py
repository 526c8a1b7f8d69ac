"""The error tree as HTTP answers: JSON for programs, a page for a person who reads one."""

import logging
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
from kept.web.rendering import render

_log = logging.getLogger(__name__)
_TITLES = {
    400: "That cannot be asked",
    401: "Who are you?",
    403: "You may not see this",
    404: "There is nothing here",
    503: "Not now",
}
_STATUS: dict[type[KeptError], int] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    CheckFailed: 422,
    Damaged: 500,
    Unavailable: 503,
}


def answer_kept_error(request: Request[Any, Any, Any], error: KeptError) -> Response[bytes]:
    """An error of the tree, with its three parts."""
    problem = Problem(error=type(error).__name__, what=error.what, where=error.where, fix=error.fix)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    headers = {"Retry-After": "1"} if status == 503 else {}
    return _answer(request, problem, status, headers)


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """An error of the web framework, in the same form."""
    kind = {400: "Invalid", 401: "Forbidden", 403: "Forbidden", 404: "NotFound"}.get(error.status_code, "Invalid")
    where = None
    what = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        first = error.extra[0]
        where, what = str(first.get("key") or "body"), str(first.get("message", what))
    return _answer(request, Problem(error=kind, what=what, where=where), error.status_code, dict(error.headers or {}))


def answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: the asker learns that it is one, the log learns what it was."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    what = "this is a fault of Kept, not yours"
    problem = Problem(error="KeptError", what=what, fix="Report it with the lines that the server has printed")
    return _answer(request, problem, 500, {})


def _answer(request: Request[Any, Any, Any], problem: Problem, status: int, headers: dict[str, str]) -> Response[bytes]:
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
        what = problem.what[:1].upper() + problem.what[1:]
        title = _TITLES.get(status, "That went wrong")
        page = render(
            "problem.html", status_code=status, section="", title=title, what=what, where=problem.where, fix=problem.fix
        )
        page.headers.update(headers)
        return page
    body = msgspec.json.encode(problem)
    return Response(body, status_code=status, media_type="application/json", headers=headers)
