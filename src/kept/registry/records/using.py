"""Which runs registered versions were made of."""

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select

from kept.store.schema import model_versions, registered_versions

_ACTIVE = "active"


def version_made_of(connection: Connection, run: str, location: str) -> str | None:
    """A version that was made of the run or whose files stand below its location, as `MODEL version N`; or None."""
    judged = select(model_versions.c.model, model_versions.c.number).where(model_versions.c.run_id == run)
    below = [
        column.startswith(prefix, autoescape=True)
        for column in (registered_versions.c.source, registered_versions.c.location)
        for prefix in _addresses(run, location)
    ]
    registered = select(registered_versions.c.model, registered_versions.c.number).where(
        registered_versions.c.lifecycle == _ACTIVE, or_(registered_versions.c.run_id == run, *below)
    )
    for query in (judged, registered):
        row = connection.execute(query.limit(1)).first()
        if row is not None:
            return f"{row.model} version {row.number}"
    return None


def _addresses(run: str, location: str) -> Iterable[str]:
    yield f"runs:/{run}/"
    if location:
        yield location.rstrip("/") + "/"
