"""Rows of projects."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from kept.store.rows import from_row, to_row
from kept.store.schema import projects
from kept.store.upsert import Upsert

_SAVE = Upsert(projects, overwrite=["question", "owner", "plan", "plan_digest", "source", "updated_at"])


class ProjectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A project as it was last registered."""

    name: str
    question: str
    owner: str
    plan: dict[str, Any]
    plan_digest: str
    source: str
    updated_at: datetime


def save_project(connection: Connection, record: ProjectRecord) -> None:
    """Adds the project, or takes over its new plan."""
    _SAVE.into(connection, [to_row(record)])


def find_project(connection: Connection, name: str) -> ProjectRecord | None:
    """The project of this name."""
    row = connection.execute(select(projects).where(projects.c.name == name)).mappings().first()
    return from_row(row, ProjectRecord) if row else None


def all_projects(connection: Connection) -> list[ProjectRecord]:
    """Every project, by name."""
    rows = connection.execute(select(projects).order_by(projects.c.name)).mappings()
    return [from_row(row, ProjectRecord) for row in rows]
