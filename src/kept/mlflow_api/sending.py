"""Sending files over HTTP: whole, ranges, or headers only (RFC 9110, sections 13 and 14)."""

import mimetypes
import os
import posixpath
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import anyio.to_thread
from litestar import Request, Response
from litestar.response import Stream

_PIECE = 1 << 20
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.IGNORECASE)
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
# What a person can read is sent as text, whatever a browser would make of it; the names are files of MLflow.
_TEXTS = frozenset(
    "cf cfg cnf conf csv err hocon ini ipynb js json log md prop properties py py3 rst toml tsv txt xml yaml yml "  # noqa: SIM905
    "MLmodel mlproject".split()
)


async def send(find: Callable[[], Path], request: Request[Any, Any, Any]) -> Response[Any]:
    """The file that `find` gives, as the headers of the request ask for it.

    A range of bytes is sent with 206; one beyond the end is refused with 416; several at once are answered with the
    whole file, as are those of a file that has changed (`If-Range`). What the asker has already (`If-None-Match`) is
    not sent again.
    """

    def begin() -> tuple[Path, IO[bytes], os.stat_result]:
        path = find()
        stream = path.open("rb")
        return path, stream, os.fstat(stream.fileno())

    path, stream, known = await anyio.to_thread.run_sync(begin)
    headers = {
        "ETag": f'"{known.st_mtime_ns:x}-{known.st_size:x}"',
        "Last-Modified": formatdate(known.st_mtime, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        # Given here, the framework adds no character set to it.
        "content-type": media_type(path.name),
        "Content-Disposition": disposition(path.name),
    }
    asked = request.headers
    if _known_already(asked.get("if-none-match"), headers["ETag"]):
        stream.close()
        return Response(None, status_code=304, headers=headers)
    span = _span(asked, headers, known.st_size)
    if span is not None and span[0] >= span[1]:
        stream.close()
        refused = {"Content-Range": f"bytes */{known.st_size}", "Accept-Ranges": "bytes"}
        return Response(b"", status_code=416, headers=refused, media_type="text/plain")
    begin_at, end = span or (0, known.st_size)
    status = 200
    if span is not None:
        status = 206
        headers["Content-Range"] = f"bytes {begin_at}-{end - 1}/{known.st_size}"
    headers["Content-Length"] = str(end - begin_at)
    if request.method == "HEAD":
        stream.close()
        return Stream(iter(()), status_code=status, headers=headers)
    return Stream(_pieces(stream, begin_at, end), status_code=status, headers=headers)


def media_type(name: str) -> str:
    """The type of a file by its name."""
    ending = posixpath.splitext(name)[1].replace(".", "") or name
    return "text/plain" if ending in _TEXTS else mimetypes.guess_type(name)[0] or "application/octet-stream"


def disposition(name: str) -> str:
    """Says that the file is to be kept and not shown: a page within a file is never shown under this server's name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    plain = "".join(char for char in plain if char.isprintable())
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    shown = plain if _TOKEN.fullmatch(plain) else f'"{escaped}"'
    more = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    return f"attachment; filename={shown}{more}"


def _known_already(header: str | None, tag: str) -> bool:
    return header is not None and any(one.strip().removeprefix("W/") in {"*", tag} for one in header.split(","))


def _span(asked: Mapping[str, str], headers: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """Where the part that is asked for begins and ends; None when the whole is to be sent, empty when there is none."""
    condition = asked.get("if-range")
    if condition is not None and condition not in {headers["ETag"], headers["Last-Modified"]}:
        return None
    found = _RANGE.fullmatch(asked.get("range", "").strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return (max(0, size - int(found[2])), size) if int(found[2]) else (size, size)
    if found[2] and int(found[2]) < int(found[1]):
        # It is no range at all, so it is passed over.
        return None
    return int(found[1]), min(size, int(found[2]) + 1) if found[2] else size


async def _pieces(stream: IO[bytes], begin: int, end: int) -> AsyncIterator[bytes]:
    try:
        await anyio.to_thread.run_sync(stream.seek, begin)
        while begin < end and (piece := await anyio.to_thread.run_sync(stream.read, min(_PIECE, end - begin))):
            begin += len(piece)
            yield piece
    finally:
        stream.close()
