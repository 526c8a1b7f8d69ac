"""Taking over a model that a client of MLflow registered, as `kept models adopt` does."""

from pathlib import Path

from kept.app.connection import Embedded
from kept.cli.following import follow
from kept.cli.reach import connect
from kept.cli.versions import version_named
from kept.cli.working import at_work, tell
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.registry.adoption import Adopt, adopt
from kept.registry.naming import LATEST
from kept.settings.settings import Settings
from kept.tracking.runs import CancelRun, cancel_run


def adopt_version(
    settings: Settings,
    model: str,
    version: str | None,
    *,
    classes: dict[str, str],
    reason: str,
    fresh: bool,
    as_json: bool,
) -> None:
    """Has the project here judge the version, waits for it, and shows what came of it."""
    source = Path(settings.project)
    project = load_project(source)
    connection = connect(settings)
    if isinstance(connection, Embedded):
        ensure_registered(connection.workspace, connection.actor, project, source)
    named = version_named(connection, model, version)
    request = Adopt(
        model=named.model,
        version=named.version or LATEST,
        project=project.name,
        classes=classes,
        reason=reason,
        fresh=fresh,
    )
    with at_work(connection) as here:
        asked = connection.call(adopt, request)
        try:
            run, steps = follow(connection, asked.id, quiet=as_json)
        except KeyboardInterrupt:
            # A worker goes on with it; nobody else would.
            if here:
                connection.call(cancel_run, CancelRun(run=asked.id, reason="stopped with Ctrl-C"))
            raise
    tell(connection, run, steps, as_json=as_json)
