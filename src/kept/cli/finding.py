"""Runs as a person names them: by the end of an id, by an experiment's name, by a filter."""

from kept.app.connection import Connection
from kept.core.errors import Invalid, NotFound
from kept.tracking.experiment import View
from kept.tracking.experiments import search_experiments
from kept.tracking.finding import search_runs
from kept.tracking.requests import LARGEST_PAGE, SearchExperiments, SearchRuns
from kept.tracking.run import RunData
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


def find_runs(
    connection: Connection, *, experiment: str | None, where: str, deleted: bool, limit: int
) -> tuple[list[RunData], dict[str, str]]:
    """Runs of an experiment (of all, without one) that fit a filter; and the names of experiments by id."""
    names = experiment_names(connection)
    ids = [number for number, name in names.items() if experiment is None or experiment in {name, number}]
    if not ids:
        raise NotFound(
            f"there is no experiment {experiment!r}",
            where="runs",
            fix=f"There are: {', '.join(sorted(names.values()))}",
        )
    view = View.DELETED if deleted else View.ACTIVE
    page = connection.call(search_runs, SearchRuns(experiments=ids, filter=where, view=view, limit=limit))
    return page.runs, names


def experiment_names(connection: Connection) -> dict[str, str]:
    """The names of all experiments by id, deleted ones too."""
    request = SearchExperiments(view=View.ALL, limit=LARGEST_PAGE)
    return {one.id: one.name for one in connection.call(search_experiments, request).experiments}


def _deleted(connection: Connection, run: str) -> list[str]:
    found, _ = find_runs(connection, experiment=None, where="", deleted=True, limit=_MOST)
    return [one.run.id for one in found if one.run.id.endswith(run)]
