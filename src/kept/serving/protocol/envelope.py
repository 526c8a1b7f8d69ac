"""The routing key of a body, without reading the rest: for routes whose arms take different inputs."""

from typing import Literal

import msgspec

from kept.serving.protocol.values import Key, as_routing_key


class _Keys(msgspec.Struct):
    routing_key: Key | None = None
    keys: list[Key | None] | None = None
    key: Key | None = None


class _Tensors(msgspec.Struct):
    parameters: _Keys | None = None


_rows = msgspec.json.Decoder(_Keys)
_tensors = msgspec.json.Decoder(_Tensors)


def routing_key_in(form: Literal["rows", "tensors"], body: bytes) -> str | None:
    """The routing key, else the first key, else None; None too when the body cannot be read, which its reader then says."""
    try:
        keys = _rows.decode(body) if form == "rows" else _tensors.decode(body).parameters
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if keys is None:
        return None
    return as_routing_key(keys.routing_key if keys.routing_key is not None else keys.keys[0] if keys.keys else keys.key)
