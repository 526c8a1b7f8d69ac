"""Static files: our own, and Plotly's JavaScript as its Python package ships it. Compressed once, then cached for good."""

import gzip
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from kept.core.digests import digest_bytes
from kept.core.errors import NotFound

PREFIX = "/static"
PLOTLY = "plotly.min.js"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOLDER = Path(__file__).with_name("static")


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    name: str
    data: bytes
    packed: bytes
    digest: str


def address(name: str) -> str:
    """Where a page finds a file. It holds the file's digest, so what is cached under it never grows old."""
    return f"{PREFIX}/{load(name).digest[:12]}/{name}"


@cache
def load(name: str) -> Asset:
    """The file; `NotFound` when it is none of ours."""
    path = _plotly() if name == PLOTLY else next((one for one in _FOLDER.iterdir() if one.name == name), None)
    if path is None or path.suffix not in _TYPES:
        raise NotFound(f"there is no file {name!r}", where="static")
    data = path.read_bytes()
    digest = digest_bytes(data).removeprefix("sha256:")
    return Asset(name=name, data=data, packed=gzip.compress(data, compresslevel=6), digest=digest)


def asset_route() -> HTTPRouteHandler:
    """The route of static files."""

    @get(f"{PREFIX}/{{stamp:str}}/{{name:str}}", include_in_schema=False, sync_to_thread=True)
    def asset(request: Request[Any, Any, Any], stamp: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        found = load(name)
        fresh = found.digest.startswith(stamp)
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache",
            "Vary": "Accept-Encoding",
        }
        packed = "gzip" in request.headers.get("accept-encoding", "")
        if packed:
            headers["Content-Encoding"] = "gzip"
        media_type = _TYPES[Path(name).suffix]
        return Response(found.packed if packed else found.data, media_type=media_type, headers=headers)

    return asset


def _plotly() -> Path:
    # Found without importing it: the package is only a carrier of its JavaScript here.
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise NotFound("the package plotly is not installed", where="static", fix="Install kept with its dependencies")
    return Path(spec.origin).parent / "package_data" / PLOTLY
