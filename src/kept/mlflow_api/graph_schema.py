"""The schema of queries, and how each field of it is answered from what the API's endpoints answer.

What an endpoint leaves out is answered as nothing of its type: an empty text, 0, false, an empty list, an object of such.
"""

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_list_type,
)

from kept.mlflow_api.graph_limits import TEXT_VALUE
from kept.mlflow_api.graph_lookups import Lookups, snake

_Resolver = Callable[..., Any]
_NOTHING = {"String": "", "LongString": "0", "Float": 0.0, "Boolean": False, "ApiError": None}
"""An error is told beside the data, never in it."""


def made_schema() -> GraphQLSchema:
    """The schema with what answers each field; a query is answered with its `Lookups` as context."""
    schema = build_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                field.resolve = _resolver(kind.name, name, field.type)
    return schema


def counted(resolve: _Resolver, source: Any, info: GraphQLResolveInfo, /, **given: Any) -> Any:
    """What a field holds, counted towards what an answer may hold."""
    room = _lookups(info).room
    room.take(1)
    found = resolve(source, info, **given)
    if isinstance(found, list):
        room.take(len(found))
    for one in found if isinstance(found, list) else (found,):
        if isinstance(one, str):
            room.take(len(one) // TEXT_VALUE)
    return found


def _lookups(info: GraphQLResolveInfo) -> Lookups:
    lookups: Lookups = info.context
    return lookups


def _resolver(kind: str, name: str, held: GraphQLOutputType) -> _Resolver:
    """What answers a field of a type."""
    match kind, name:
        case "Query" | "Mutation", "test" | "testMutation":
            return lambda _source, _info, **given: {"output": given.get("inputString")}
        case "Query" | "Mutation", _:
            return lambda _source, info, **given: _lookups(info).told(name, given.get("input") or {})
        case "MlflowRunExtension", "experiment":
            return lambda run, info: _lookups(info).experiment_of(run)
        case "MlflowRunExtension", "modelVersions":
            return lambda run, info: _lookups(info).versions_of(run)
    return _held(snake(name), held)


def _held(key: str, kind: GraphQLOutputType) -> _Resolver:
    nothing, shown = _nothing(kind), _SHOWN.get(get_named_type(kind).name)

    def held(source: Mapping[str, Any], _info: GraphQLResolveInfo) -> Any:
        found = source.get(key)
        if found is None:
            return nothing
        return shown(found) if shown else found

    return held


def _nothing(kind: GraphQLOutputType) -> Any:
    if is_list_type(kind):
        return []
    named = get_named_type(kind)
    if isinstance(named, GraphQLEnumType):
        return next(iter(named.values))
    return _NOTHING.get(named.name, {})


def _finite(value: float | str) -> float | None:
    """A number as JSON has it: NaN is none, and an infinity the largest there is."""
    number = float(value)
    if math.isnan(number):
        return None
    return math.copysign(sys.float_info.max, number) if math.isinf(number) else number


_SHOWN: Mapping[str, Callable[[Any], Any]] = {"LongString": str, "Float": _finite}
