"""Adopting a version that a client registered: queued as a run that fetches, packages, evaluates and judges it."""

from typing import Literal

import msgspec
from sqlalchemy import Connection

from kept.core.errors import Conflict
from kept.governance.actor import Actor, Permission
from kept.governance.operation import operation
from kept.governance.workspace import Workspace
from kept.plan.catalog import ShowProject, show_project
from kept.registry.catalog import locate
from kept.registry.registered import RegisteredVersion
from kept.tracking.records import find_runs
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import create_run

ADOPTION = "adoption"


class Adopt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client's version that a project is to judge on its held-out rows, as if it had trained it."""

    model: str
    version: str = "latest"
    project: str
    reason: str = ""
    classes: dict[str, str] = {}
    """The project's class for each that the model knows by another name, as texts."""
    fresh: bool = False
    """Run every step, whatever is known already."""
    scores: str = ""
    """Of an ONNX graph with several outputs: the one that holds the scores."""
    form: Literal["probabilities", "logits", "value"] = "probabilities"
    """What these scores are; of regressions they are values."""


@operation("registry.adopt", needs=Permission.CONTRIBUTE, on="model")
def adopt(workspace: Workspace, actor: Actor, request: Adopt) -> Run:
    """Queues the run that takes a client's version over: it ends with a judged version of the project's model."""
    show_project(workspace, actor, ShowProject(project=request.project))
    with workspace.database.writing() as connection:
        version = locate(connection, request.model, request.version)
        _check(connection, version, request.project)
        return create_run(
            workspace.inside(connection),
            project=request.project,
            kind=ADOPTION,
            name=f"adoption of {version.model} {version.number}",
            created_by=actor.name,
            reason=request.reason,
            request={
                "registered": version.id,
                "files": version.location,
                "logged_by": version.run_id,
                "classes": request.classes,
                "fresh": request.fresh,
                "scores": request.scores,
                "form": request.form,
            },
        )


def _check(connection: Connection, version: RegisteredVersion, project: str) -> None:
    if version.judged:
        what = f"version {version.number} was judged already"
        raise Conflict(what, where=version.model, fix="Release it: kept release")
    for status in (RunStatus.QUEUED, RunStatus.RUNNING):
        for run in find_runs(connection, project=project, kind=ADOPTION, status=status):
            if run.request.get("registered") == version.id:
                fix = "Wait until it has ended, or cancel it"
                raise Conflict(f"version {version.number} is being adopted ({run.id})", where=version.model, fix=fix)
