"""Finding runs by their experiment's name and a filter, in a workspace or on a server."""

from collections.abc import Sequence

from kept.app.connection import Connection
from kept.core.errors import NotFound
from kept.tracking.experiment import View
from kept.tracking.experiments import search_experiments
from kept.tracking.filtering import Kind, Term
from kept.tracking.finding import search_runs
from kept.tracking.grammar import run_terms
from kept.tracking.requests import LARGEST_PAGE, SearchExperiments, SearchRuns
from kept.tracking.run import Run, RunData


def find_runs(
    connection: Connection,
    *,
    experiment: str | None,
    where: str,
    kind: str | None = None,
    deleted: bool = False,
    limit: int,
) -> tuple[list[RunData], dict[str, str]]:
    """Runs of an experiment (of all, without one) and of a kind (of any, without one) that fit a filter, begun last first;
    and experiments' names by id.
    """
    names = experiment_names(connection)
    ids = [number for number, name in names.items() if experiment is None or experiment in {name, number}]
    if not ids:
        fix = f"There are: {', '.join(sorted(names.values()))}"
        raise NotFound(f"there is no experiment {experiment!r}", where="runs", fix=fix)
    view = View.DELETED if deleted else View.ACTIVE
    terms = run_terms(where)
    if kind is not None:
        terms.append(Term(kind=Kind.ATTRIBUTE, name="kind", comparator="=", value=kind))
    page = connection.call(search_runs, SearchRuns(experiments=ids, filter=terms, view=view, limit=limit))
    return page.runs, names


def data_of(connection: Connection, runs: Sequence[Run]) -> list[RunData]:
    """The runs with what was logged to them, in the order given."""
    if not runs:
        return []
    ids = [run.id for run in runs]
    named = Term(kind=Kind.ATTRIBUTE, name="run_id", comparator="IN", value=ids)
    experiments = sorted({run.experiment for run in runs})
    request = SearchRuns(experiments=experiments, filter=[named], view=View.ALL, limit=len(ids))
    found = {one.run.id: one for one in connection.call(search_runs, request).runs}
    return [found[one] for one in ids if one in found]


def experiment_names(connection: Connection) -> dict[str, str]:
    """The names of all experiments by id, deleted ones too."""
    request = SearchExperiments(view=View.ALL, limit=LARGEST_PAGE)
    return {one.id: one.name for one in connection.call(search_experiments, request).experiments}
