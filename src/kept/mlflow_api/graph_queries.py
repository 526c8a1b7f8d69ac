"""Answers GraphQL, as MLflow's pages and some scripts ask: each field of a query is one of the endpoints.

What can be asked, and what is refused, is what the endpoint says; only the fields that were asked for are answered.
"""

from typing import Any

import msgspec
from graphql import GraphQLError, execute_sync, validate
from graphql.execution import MiddlewareManager

from kept.core.errors import KeptError
from kept.mlflow_api.call import Call
from kept.mlflow_api.endpoints import Endpoints
from kept.mlflow_api.errors import Refused, invalid, sentence_of
from kept.mlflow_api.graph_limits import TooMuch, read
from kept.mlflow_api.graph_lookups import Lookups
from kept.mlflow_api.graph_schema import counted, made_schema

_SCHEMA = made_schema()
_COUNTED = MiddlewareManager(counted)


class _Asked(msgspec.Struct):
    """What a client sends."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(name="operationName", default=None)


_ASKED = msgspec.json.Decoder(_Asked)


class _Answered(msgspec.Struct):
    """What it gets: the fields that could be answered, and why others could not."""

    data: dict[str, Any] | None
    errors: list[str] | None


def answer(endpoints: Endpoints, call: Call, body: bytes) -> bytes:
    """The answer to a query as JSON."""
    try:
        asked = _ASKED.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"Invalid request: {error}.") from error
    try:
        answered = _answered(asked, Lookups(endpoints, call))
    except GraphQLError as error:
        answered = _Answered(None, [error.message])
    except TooMuch as error:
        answered = _Answered(None, [str(error)])
    except RecursionError:
        answered = _Answered(None, ["Variables are nested too deep."])
    return msgspec.json.encode(answered)


def _answered(asked: _Asked, lookups: Lookups) -> _Answered:
    """What is asked for, checked as a whole before anything is looked up."""
    document = read(asked.query)
    if faults := validate(_SCHEMA, document):
        return _Answered(None, [fault.message for fault in faults])
    found = execute_sync(
        _SCHEMA,
        document,
        context_value=lookups,
        variable_values=asked.variables,
        operation_name=asked.operation_name or None,
        middleware=_COUNTED,
    )
    return _Answered(found.data, [_said(error) for error in found.errors or ()] or None)


def _said(error: GraphQLError) -> str:
    """Why a field could not be answered; what nobody foresaw is raised as it came."""
    match error.original_error:
        case None | GraphQLError() | Refused():
            return error.message
        case KeptError() as refused:
            return sentence_of(refused)
        case unforeseen:
            raise unforeseen
