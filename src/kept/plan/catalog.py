"""What is done with plans: registering a project's declarations and looking them up."""

from pathlib import Path

import msgspec

from kept.core.digests import digest_json
from kept.core.errors import NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.plan.description import describe
from kept.plan.project import Project
from kept.plan.records import ProjectRecord, all_projects, find_project, save_project


class RegisterProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project as it stands in its file now."""

    record: ProjectRecord

    @property
    def name(self) -> str:
        """The project's name."""
        return self.record.name


class ListProjects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All projects of the workspace."""


class ShowProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One project."""

    project: str


@operation("plan.register", needs=Permission.ADMINISTER, on="name", remote=False)
def register_project(workspace: Workspace, actor: Actor, request: RegisterProject) -> ProjectRecord:
    """Takes over a project's declarations; the worker runs the code of the file it names."""
    del actor
    with workspace.database.writing() as connection:
        save_project(connection, request.record)
    return request.record


@operation("plan.list", needs=Permission.VIEW, audit=Audit.READ)
def list_projects(workspace: Workspace, actor: Actor, request: ListProjects) -> list[ProjectRecord]:
    """Every project of the workspace, by name."""
    del actor, request
    with workspace.database.reading() as connection:
        return all_projects(connection)


@operation("plan.show", needs=Permission.VIEW, audit=Audit.READ)
def show_project(workspace: Workspace, actor: Actor, request: ShowProject) -> ProjectRecord:
    """A project's declarations as last registered."""
    del actor
    with workspace.database.reading() as connection:
        found = find_project(connection, request.project)
    if found is None:
        fix = "Register it by running: kept run"
        raise NotFound(f"there is no project {request.project}", where="plan", fix=fix)
    return found


def ensure_registered(workspace: Workspace, actor: Actor, project: Project, source: Path) -> ProjectRecord:
    """Registers the project when it is new or was changed since."""
    plan = describe(project)
    digest = digest_json(plan)
    with workspace.database.reading() as connection:
        known = find_project(connection, project.name)
    if known is not None and known.plan_digest == digest and known.source == str(source.resolve()):
        return known
    record = ProjectRecord(
        name=project.name,
        question=project.question,
        owner=project.owner,
        plan=plan,
        plan_digest=digest,
        source=str(source.resolve()),
        updated_at=workspace.clock.now(),
    )
    return register_project(workspace, actor, RegisterProject(record=record))
