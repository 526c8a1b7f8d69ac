"""Runs by the name of their experiment and a filter, wherever they are kept."""

from kept.app.connection import Connection
from kept.core.errors import NotFound
from kept.tracking.experiment import View
from kept.tracking.experiments import search_experiments
from kept.tracking.finding import search_runs
from kept.tracking.requests import LARGEST_PAGE, SearchExperiments, SearchRuns
from kept.tracking.run import RunData


def find_runs(
    connection: Connection, *, experiment: str | None, where: str, deleted: bool = False, limit: int
) -> tuple[list[RunData], dict[str, str]]:
    """Runs of an experiment (of all, without one) that fit a filter, begun last first; and experiments' names by id."""
    names = experiment_names(connection)
    ids = [number for number, name in names.items() if experiment is None or experiment in {name, number}]
    if not ids:
        fix = f"There are: {', '.join(sorted(names.values()))}"
        raise NotFound(f"there is no experiment {experiment!r}", where="runs", fix=fix)
    view = View.DELETED if deleted else View.ACTIVE
    page = connection.call(search_runs, SearchRuns(experiments=ids, filter=where, view=view, limit=limit))
    return page.runs, names


def experiment_names(connection: Connection) -> dict[str, str]:
    """The names of all experiments by id, deleted ones too."""
    request = SearchExperiments(view=View.ALL, limit=LARGEST_PAGE)
    return {one.id: one.name for one in connection.call(search_experiments, request).experiments}
