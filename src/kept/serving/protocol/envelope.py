"""The routing key of a body, without reading the rest: for routes whose arms take different inputs."""

import msgspec

from kept.serving.protocol.forms import Form
from kept.serving.protocol.tensors import Sent
from kept.serving.protocol.values import Key, as_routing_key


class _Keys(msgspec.Struct):
    routing_key: Key | None = None
    keys: list[Key | None] | None = None
    key: Key | None = None


class _Tensors(msgspec.Struct):
    parameters: _Keys | None = None


class _Invocations(msgspec.Struct):
    params: _Keys | None = None


_rows = msgspec.json.Decoder(_Keys)
_tensors = msgspec.json.Decoder(_Tensors)
_invocations = msgspec.json.Decoder(_Invocations)


def routing_key_in(form: Form, body: bytes | Sent, json_size: int | None = None) -> str | None:
    """The routing key, else the first key, else None; None too when the body cannot be read, which its reader then says."""
    if isinstance(body, Sent):
        given = body.parameters
        return (
            None if given is None else as_routing_key(given.routing_key if given.routing_key is not None else given.key)
        )
    try:
        keys = _keys_in(form, body, json_size)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if keys is None:
        return None
    return as_routing_key(keys.routing_key if keys.routing_key is not None else keys.keys[0] if keys.keys else keys.key)


def _keys_in(form: Form, body: bytes, json_size: int | None) -> _Keys | None:
    if form == "csv":
        return None
    if form == "rows":
        return _rows.decode(body)
    if form == "invocations":
        return _invocations.decode(body).params
    return _tensors.decode(body if json_size is None else memoryview(body)[:json_size]).parameters
