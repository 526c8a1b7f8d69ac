"""Lists of versions, judged or not."""

from sqlalchemy import Connection, or_, select

from kept.registry.records.registered import versions_from
from kept.registry.registered import RegisteredVersion
from kept.registry.version import Status
from kept.store.schema import model_versions, registered_versions
from kept.store.within import text_within

_UNJUDGED = "unjudged"


def versions(
    connection: Connection,
    *,
    model: str | None = None,
    project: str | None = None,
    status: Status | None = None,
    text: str = "",
    offset: int = 0,
    limit: int,
) -> list[RegisteredVersion]:
    """Versions, newest first; `text` is looked for in the names of model, project and creator, and in the question."""
    here = registered_versions.c
    query = select(registered_versions).where(here.lifecycle == "active")
    query = query.outerjoin(model_versions, model_versions.c.id == here.id)
    query = query.order_by(here.created_at.desc(), here.id.desc())
    if model is not None:
        query = query.where(here.model == model)
    if project is not None:
        query = query.where(model_versions.c.project == project)
    if status is not None:
        query = query.where(here.judged.is_(False) if status == _UNJUDGED else model_versions.c.status == status)
    if text:
        question = text_within(connection, model_versions.c.card, "lineage", "question")
        places = (here.model, model_versions.c.project, here.created_by, question)
        query = query.where(or_(*(place.icontains(text, autoescape=True) for place in places)))
    return versions_from(connection, connection.execute(query.offset(offset).limit(limit)).mappings().all())
