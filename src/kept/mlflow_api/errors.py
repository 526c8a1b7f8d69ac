"""Kept's errors as MLflow's error codes, statuses and messages."""

import logging
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from kept.core.errors import Conflict, Damaged, Forbidden, Invalid, KeptError, NotFound, Unavailable

_log = logging.getLogger(__name__)
_HINT = " See the API docs for more information about request parameters."


class Code(NamedTuple):
    """An error code with the HTTP status that it travels under, and what a client derives from it."""

    name: str
    status: int
    sort: str | None = None
    sql_state: str | None = "KAM00"


BAD_REQUEST = Code("BAD_REQUEST", 400, "INVALID_PARAMETER_VALUE")
DATA_LOSS = Code("DATA_LOSS", 500, None, None)
ENDPOINT_NOT_FOUND = Code("ENDPOINT_NOT_FOUND", 404, "RESOURCE_NOT_FOUND")
INTERNAL_ERROR = Code("INTERNAL_ERROR", 500, "CLIENT_INTERNAL_ERROR", "XXM00")
INVALID_PARAMETER_VALUE = Code("INVALID_PARAMETER_VALUE", 400, "INVALID_PARAMETER_VALUE")
NOT_IMPLEMENTED = Code("NOT_IMPLEMENTED", 501, None, None)
# What MLflow sends with 500 its clients send again, five times: under 400 they are told at once.
INVALID_STATE = Code("INVALID_STATE", 400, "CLIENT_INTERNAL_ERROR", "XXM00")
PERMISSION_DENIED = Code("PERMISSION_DENIED", 403, "PERMISSION_DENIED")
RESOURCE_ALREADY_EXISTS = Code("RESOURCE_ALREADY_EXISTS", 400, "RESOURCE_ALREADY_EXISTS")
RESOURCE_DOES_NOT_EXIST = Code("RESOURCE_DOES_NOT_EXIST", 404, "RESOURCE_NOT_FOUND")
TEMPORARILY_UNAVAILABLE = Code("TEMPORARILY_UNAVAILABLE", 503, None, "XXM00")
UNAUTHENTICATED = Code("UNAUTHENTICATED", 401, None, None)

_OF_KIND: dict[type[KeptError], Code] = {
    Invalid: INVALID_PARAMETER_VALUE,
    NotFound: RESOURCE_DOES_NOT_EXIST,
    Conflict: RESOURCE_ALREADY_EXISTS,
    Forbidden: PERMISSION_DENIED,
    Unavailable: TEMPORARILY_UNAVAILABLE,
    Damaged: DATA_LOSS,
}
_OF_STATUS = {401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 404: ENDPOINT_NOT_FOUND}


class Refused(Exception):
    """What a client sent can not be done; it says so in MLflow's words."""

    def __init__(self, code: Code, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def missing(field: str) -> Refused:
    """A field that must be there is not."""
    return Refused(INVALID_PARAMETER_VALUE, f"Missing value for required parameter '{field}'.{_HINT}")


def unfit(field: str, value: Any) -> Refused:
    """A field holds what it can not hold."""
    text = msgspec.json.encode(value, order="sorted").decode()
    hint = f" Hint: Value was of type '{type(value).__name__}'."
    return Refused(INVALID_PARAMETER_VALUE, f"Invalid value {text} for parameter '{field}' supplied: {hint}{_HINT}")


def absent_run(run: str) -> Refused:
    """There is no such run."""
    return Refused(RESOURCE_DOES_NOT_EXIST, f"Run with id={run} not found")


def invalid(message: str) -> Refused:
    """What was sent does not have the form it must have."""
    return Refused(INVALID_PARAMETER_VALUE, message)


def sentence_of(error: KeptError) -> str:
    """What a client is told of an error of an operation."""
    # Of what clients know, they know the sentence: some look for it word by word.
    known = isinstance(error, Invalid | NotFound | Conflict)
    return error.what if known or not error.fix else f"{error.what.rstrip('.')}. {error.fix}"


def answer_refusal(_: Request[Any, Any, Any], error: Refused) -> Response[bytes]:
    """A refusal of this door."""
    return _answer(error.code, error.message)


def answer_kept_error(_: Request[Any, Any, Any], error: KeptError) -> Response[bytes]:
    """An error of an operation."""
    code = next((code for kind, code in _OF_KIND.items() if isinstance(error, kind)), INTERNAL_ERROR)
    return _answer(code, sentence_of(error))


def answer_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """An error of the web framework, or a refusal at the gate."""
    code = _OF_STATUS.get(error.status_code, BAD_REQUEST if error.status_code < 500 else INTERNAL_ERROR)
    return _answer(code._replace(status=error.status_code), error.detail, dict(error.headers or {}))


def answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: the client learns that it is one, the log learns what it was."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(INTERNAL_ERROR, "This is a fault of Kept, not yours. Report it with what the server has printed.")


HANDLERS: dict[Any, Any] = {
    Refused: answer_refusal,
    KeptError: answer_kept_error,
    HTTPException: answer_http_error,
    Exception: answer_fault,
}


def _answer(code: Code, message: str, headers: dict[str, str] | None = None) -> Response[bytes]:
    body = {"error_code": code.name, "message": message, "sqlstate": code.sql_state, "error_class": code.sort}
    body = {name: value for name, value in body.items() if value is not None}
    return Response(
        msgspec.json.encode(body), status_code=code.status, media_type="application/json", headers=headers or {}
    )
