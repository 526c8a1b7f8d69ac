"""Multipart uploads through the proxy, as clients with `MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD` do them.

A client asks for an upload, puts each part to the address that it is given, and says when all are there. The address is
one of this server; the headers that go with it are those by which the client came through the gate.
"""

import posixpath
from typing import Any
from urllib.parse import quote

import anyio.to_thread
from litestar import Request
from msgspec import Struct

from kept.core.errors import NotFound
from kept.mlflow_api.artifacts import find, receive, safe
from kept.mlflow_api.call import Call
from kept.mlflow_api.decoding import Reader
from kept.mlflow_api.errors import invalid
from kept.mlflow_api.requests import Filled
from kept.mlflow_api.version_files import refuse_change
from kept.tracking import artifacts as verbs

_MOST = 10_000
_LONGEST_PASS = 4_096
ROOT = "/api/2.0/mlflow-artifacts"


class Create(Struct):
    """`mpu/create`."""

    path: Filled
    num_parts: int = 1


class Part(Struct):
    """A part that was put, and the tag that its answer bore."""

    part_number: int
    etag: str | None = None
    url: str | None = None


class Complete(Struct):
    """`mpu/complete`."""

    path: Filled
    parts: list[Part]
    upload_id: str = ""


class Abort(Struct):
    """`mpu/abort`."""

    path: Filled
    upload_id: str = ""


class Credential(Struct):
    """Where a part is put, and what must come with it."""

    url: str
    part_number: int
    headers: dict[str, str]


class Created(Struct):
    """An upload in parts that has begun."""

    upload_id: str
    credentials: list[Credential]


class Address(Struct):
    """Where a file can be read in ranges."""

    url: str
    headers: dict[str, str]
    file_size: int


_CREATE, _COMPLETE, _ABORT = Reader(Create), Reader(Complete), Reader(Abort)


def create(call: Call, folder: str, body: bytes, came: Request[Any, Any, Any]) -> Created:
    """Begins an upload of a file into a folder."""
    asked = _CREATE.body(body, {})
    if not 1 <= asked.num_parts <= _MOST:
        raise invalid(f"Invalid value {asked.num_parts} for parameter 'num_parts' supplied. It must be 1 to {_MOST}.")
    base, headers = _base(came), _pass(came)
    if len(base) + sum(map(len, headers.values())) > _LONGEST_PASS:
        # Both stand in the answer once for each part.
        raise invalid("The headers Host and Authorization are too long for an upload in parts.")
    key = verbs.begin_parts(call.workspace, call.actor, _place(folder, asked.path))
    numbers = range(1, asked.num_parts + 1)
    parts = [Credential(url=f"{base}{ROOT}/mpu/part/{key}/{one}", part_number=one, headers=headers) for one in numbers]
    return Created(upload_id=key, credentials=parts)


async def put(call: Call, key: str, number: int, request: Request[Any, Any, Any]) -> str:
    """Keeps the body of a request as a part; gives its tag."""
    if not 1 <= number <= _MOST:
        raise invalid(f"Invalid part number {number}. It must be 1 to {_MOST}.")
    begun = await anyio.to_thread.run_sync(verbs.begin_part, call.workspace, call.actor, key, number)
    try:
        await receive(request, begun)
        return await anyio.to_thread.run_sync(verbs.end_part, call.workspace, key, number, begun)
    finally:
        begun.abandon()


def complete(call: Call, folder: str, body: bytes) -> None:
    """Joins the parts to the file."""
    asked = _COMPLETE.body(body, {})
    place = _place(folder, asked.path)
    numbers = [part.part_number for part in asked.parts]
    if not numbers or sorted(set(numbers)) != sorted(numbers) or not 1 <= min(numbers) <= max(numbers) <= _MOST:
        raise invalid("Invalid value for parameter 'parts' supplied. Each part must be there once.")
    tags = {part.part_number: (part.etag or "").strip('"') for part in asked.parts}
    verbs.end_parts(call.workspace, call.actor, place, asked.upload_id, tags)


def abort(call: Call, folder: str, body: bytes) -> None:
    """Ends an upload and removes its parts; what is not there is removed already."""
    asked = _ABORT.body(body, {})
    _place(folder, asked.path)
    try:
        verbs.drop_parts(call.workspace, call.actor, asked.upload_id)
    except NotFound:
        return


def address(call: Call, path: str, came: Request[Any, Any, Any]) -> Address:
    """Where a client that reads large files in ranges finds one."""
    place = safe(path)
    size = find(call, place).stat().st_size
    return Address(url=f"{_base(came)}{ROOT}/artifacts/{quote(place)}", headers=_pass(came), file_size=size)


def _place(folder: str, sent: str) -> str:
    """The file's place: clients send the folder in the path of the endpoint, and the name with the path on their disk."""
    name = posixpath.basename(sent.replace("\\", "/"))
    place = safe(posixpath.join(folder, name))
    refuse_change(place)
    return place


def _base(came: Request[Any, Any, Any]) -> str:
    """This server, under the name by which the client knows it."""
    return str(came.base_url).rstrip("/")


def _pass(came: Request[Any, Any, Any]) -> dict[str, str]:
    """What lets the client through the gate again: it sends parts and ranges without the token that it was given."""
    token = came.headers.get("authorization")
    return {} if token is None else {"Authorization": token}
