"""Choosing the source (server, database or folder) that an address names."""

import base64
import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from kept.app.importing.database import DatabaseSource, postgres_source, sqlite_source
from kept.app.importing.folder import FolderSource
from kept.app.importing.places import Places
from kept.app.importing.report import Findings
from kept.app.importing.server import ServerSource
from kept.app.importing.source import Source
from kept.core.errors import Invalid, NotFound

_FIX = "Name a server (http://...), a folder mlruns, a file mlflow.db or a database postgresql://..."


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a source is read."""

    artifacts: list[str] = []
    """Folders in which files are read too."""
    part: str = ""
    """MLflow's workspace that is read; that of MLFLOW_WORKSPACE, or `default`, when it is empty."""


def open_source(
    address: str, options: Options, findings: Findings, environment: Mapping[str, str] | None = None
) -> Source:
    """The source at an address.

    Raises:
        NotFound: there is nothing.
        Invalid: it is no source.
    """
    environment = os.environ if environment is None else environment
    part = options.part or environment.get("MLFLOW_WORKSPACE", "") or "default"
    extra = [_existing(one) for one in options.artifacts]
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    if scheme in {"http", "https"}:
        return _server(address, findings, part, environment)
    if scheme.startswith("postgresql") or scheme == "postgres":
        engine, shown = postgres_source(address.replace("postgres://", "postgresql://", 1))
        return DatabaseSource(engine, shown, Places(extra, extra, findings), findings, part=part)
    if scheme == "sqlite":
        return _sqlite(Path(unquote(address.partition(":///")[2])), extra, findings, part)
    if scheme not in {"", "file"}:
        raise Invalid(f"{scheme}: is no source that Kept reads", where="import", fix=_FIX)
    path = Path(unquote(parts.path) if scheme == "file" else address).expanduser()
    if path.is_dir():
        if not any((one / "meta.yaml").is_file() for one in path.iterdir()) and (path / "mlruns").is_dir():
            path /= "mlruns"
        places = Places([path, *extra], [*_beside(path.parent, ["mlartifacts"]), *extra], findings)
        return FolderSource(path, places, findings)
    if path.is_file():
        return _sqlite(path, extra, findings, part)
    raise NotFound("there is no such folder or file", where=str(path), fix=_FIX)


def authorization(url: str, environment: Mapping[str, str]) -> str:
    """The value of the header, as MLflow's clients choose it: user and password before the token."""
    parts = urlsplit(url)
    user = unquote(parts.username or "") or environment.get("MLFLOW_TRACKING_USERNAME", "")
    password = unquote(parts.password or "") or environment.get("MLFLOW_TRACKING_PASSWORD", "")
    if user and password:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = environment.get("MLFLOW_TRACKING_TOKEN", "")
    return f"Bearer {token}" if token else ""


def _server(url: str, findings: Findings, part: str, environment: Mapping[str, str]) -> ServerSource:
    if not urlsplit(url).hostname:
        raise Invalid("the address names no server", where="import", fix=_FIX)
    verify: bool | ssl.SSLContext = environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in {"true", "1"}
    if verify and (certificate := environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH", "")):
        verify = ssl.create_default_context(cafile=certificate)
    return ServerSource(url, findings, auth=authorization(url, environment), part=part, verify=verify)


def _sqlite(path: Path, extra: Sequence[Path], findings: Findings, part: str) -> DatabaseSource:
    if not path.is_file():
        raise NotFound("there is no such file", where=str(path), fix=_FIX)
    with path.open("rb") as stream:
        if not stream.read(16).startswith(b"SQLite format 3"):
            raise Invalid("it is no database of SQLite", where=str(path), fix=_FIX)
    # Where a client or a server that was started in this folder keeps files by default.
    folder = path.resolve().parent
    proxied = _beside(folder, ["mlartifacts", "mlruns"])
    places = Places([*_beside(folder, ["mlruns", "mlartifacts"]), *extra], [*proxied, *extra], findings)
    return DatabaseSource(sqlite_source(path), path.resolve().as_uri(), places, findings, part=part)


def _beside(folder: Path, names: Sequence[str]) -> list[Path]:
    return [folder / name for name in names if (folder / name).is_dir()]


def _existing(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_dir():
        raise NotFound("there is no such folder", where=name, fix="Name the folder of the files with --artifacts")
    return path
