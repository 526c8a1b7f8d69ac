"""Taking over a model that a client of MLflow registered, or an ONNX file, as `kept models adopt` does."""

from pathlib import Path
from typing import Any

import msgspec

from kept.app.connection import Embedded
from kept.app.onnx_files import register_checked, register_graph
from kept.cli.following import follow
from kept.cli.reach import connect
from kept.cli.versions import version_named
from kept.cli.working import at_work, tell
from kept.core.errors import Invalid
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.registry.adoption import Adopt, adopt
from kept.registry.names import LATEST
from kept.registry.version import ModelVersion
from kept.settings.settings import Settings
from kept.tracking.runs import CancelRun, cancel_run


def adopt_version(
    settings: Settings, model: str, version: str | None, wanted: dict[str, Any], *, as_json: bool
) -> None:
    """Has the project here judge a version, waits for it, and shows what came of it.

    `wanted` is what else is said in `Adopt`, but for its project.
    """
    source = Path(settings.project)
    project = load_project(source)
    connection = connect(settings)
    if isinstance(connection, Embedded):
        ensure_registered(connection.workspace, connection.actor, project, source)
    named = version_named(connection, model, version)
    told = {**wanted, "model": named.model, "version": named.version or LATEST, "project": project.name}
    try:
        request = msgspec.convert(told, Adopt)
    except msgspec.ValidationError as error:
        raise Invalid(str(error), where="adopt", fix="See kept models adopt --help") from error
    with at_work(connection) as work:
        asked = connection.call(adopt, request)
        try:
            run, steps = follow(connection, asked.id, work.check, quiet=as_json)
        except KeyboardInterrupt:
            # A worker goes on with it; nobody else would.
            if work.here:
                connection.call(cancel_run, CancelRun(run=asked.id, reason="stopped with Ctrl-C"))
            raise
    tell(connection, run, steps, as_json=as_json)


def register_file(settings: Settings, model: str, file: Path) -> str:
    """Registers an ONNX file as the model's next version, and gives its number."""
    here = _embedded(settings)
    return str(register_graph(here.workspace, here.actor, model, file).number)


def take_file(settings: Settings, model: str, file: Path, check: Path) -> ModelVersion:
    """Registers an ONNX file that answers as is declared, as a judged version of a model without a project."""
    here = _embedded(settings)
    return register_checked(here.workspace, here.actor, model, file, check)


def _embedded(settings: Settings) -> Embedded:
    connection = connect(settings, create=True)
    if isinstance(connection, Embedded):
        return connection
    fix = "Log it there with mlflow.onnx.log_model(..., save_as_external_data=False), and adopt that version"
    raise Invalid("a file is taken where the workspace is, and this one is a server's", where=settings.url, fix=fix)
