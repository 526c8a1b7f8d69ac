"""Resolving the run that a person names by the end of its id."""

from kept.app.connection import Connection
from kept.app.finding import find_runs
from kept.core.errors import Invalid
from kept.tracking.runs import ListRuns, list_runs

_SHORTEST, _WHOLE = 4, 32
_MOST = 1_000


def full_id(connection: Connection, run: str) -> str:
    """The id that ends like this, of a deleted run too; what is given where none or an id as a whole does."""
    if len(run) < _SHORTEST or len(run) >= _WHOLE:
        return run
    ids = [one.id for one in connection.call(list_runs, ListRuns(limit=_MOST))]
    found = [one for one in ids if one.endswith(run)] or _deleted(connection, run)
    if len(found) > 1:
        raise Invalid(f"{len(found)} runs end in {run}", where="runs", fix="Give more of the id: kept runs list --json")
    return found[0] if found else run


def _deleted(connection: Connection, run: str) -> list[str]:
    found, _ = find_runs(connection, experiment=None, where="", deleted=True, limit=_MOST)
    return [one.run.id for one in found if one.run.id.endswith(run)]
