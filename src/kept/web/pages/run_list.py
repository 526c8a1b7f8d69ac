"""The list of runs: what they measured, sorted by it, and those to compare chosen from it."""

from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery

from kept.app.connection import Connection
from kept.app.finding import data_of, experiment_names
from kept.core.errors import Invalid, NotFound
from kept.tracking.filtering import Kind, Order, Term
from kept.tracking.finding import search_runs
from kept.tracking.grammar import run_terms
from kept.tracking.requests import SearchRuns
from kept.tracking.run import RunData, RunStatus
from kept.tracking.runs import ListRuns, list_runs
from kept.tracking.telling import better_way, main_metrics, varied_params
from kept.web.rendering import render

_LISTED = 100
_MOST_OFFERED = 500
"""Names of experiments that are offered to be filled in; the page is asked for anew every few seconds."""
_MOST_METRICS = 4
_MOST_PARAMS = 3


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for."""

    experiment: str
    where: str
    kind: str
    status: str
    sort: str
    """A metric, or nothing for the newest first."""
    way: str
    """`up` for the smallest value first, `down` for the largest; nothing for the best."""

    @property
    def ascending(self) -> bool:
        """Whether the smallest value comes first."""
        return self.way == "up" if self.way else better_way(self.sort) == "lower"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's column: where its heading leads, and which way it is sorted by it."""

    name: str
    address: str
    sorted: Literal["none", "ascending", "descending"]


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/runs`."""

    @get("/runs", include_in_schema=False, sync_to_thread=True)
    def runs(
        experiment: FromQuery[str] = "",
        project: FromQuery[str] = "",
        where: FromQuery[str] = "",
        kind: FromQuery[str] = "",
        status: FromQuery[str] = "",
        sort: FromQuery[str] = "",
        way: FromQuery[str] = "",
    ) -> Response[bytes]:
        # A project's runs stand in the experiment of its name; addresses that people noted say project.
        experiment = experiment or project
        asked = Asked(experiment=experiment, where=where, kind=kind, status=status, sort=sort, way=way)
        names = experiment_names(connection)
        found, problem = list[RunData](), ""
        try:
            found = _found(connection, asked, names)
        except (Invalid, NotFound) as error:
            problem = str(error)
        measured = main_metrics(found, _MOST_METRICS)
        if sort and not problem:
            measured = [sort, *(name for name in measured if name != sort)][:_MOST_METRICS]
        return render(
            "runs.html",
            section="Runs",
            now=datetime.now(UTC),
            found=[(one, {point.name: point.value for point in one.latest}) for one in found],
            problem=problem,
            experiments=names,
            offered=_MOST_OFFERED,
            asked=asked,
            columns=[_column(name, asked) for name in measured],
            params=varied_params(found, _MOST_PARAMS) if experiment else [],
            statuses=[one.value for one in RunStatus],
            listed=_LISTED,
        )

    return [runs]


def _found(connection: Connection, asked: Asked, names: dict[str, str]) -> list[RunData]:
    """The runs, the newest or the best first; parts of others only where a kind, an experiment or a filter asks for them."""
    status = RunStatus(asked.status) if asked.status in set(RunStatus) else None
    if not (asked.experiment or asked.where or asked.sort):
        request = ListRuns(kind=asked.kind or None, status=status, parts=bool(asked.kind), limit=_LISTED)
        listed = connection.call(list_runs, request)
        return data_of(connection, listed)
    ids = [number for number, name in names.items() if not asked.experiment or asked.experiment in {name, number}]
    if not ids:
        raise NotFound(f"there is no experiment {asked.experiment!r}", where="runs")
    terms = run_terms(asked.where)
    if asked.kind:
        terms.append(Term(kind=Kind.ATTRIBUTE, name="kind", comparator="=", value=asked.kind))
    elif not asked.where:
        terms.append(Term(kind=Kind.ATTRIBUTE, name="kind", comparator="!=", value="trial"))
    if status is not None:
        terms.append(Term(kind=Kind.ATTRIBUTE, name="status", comparator="=", value=status.value))
    order: list[str | Order] = []
    if asked.sort:
        order.append(Order(kind=Kind.METRIC, name=asked.sort, ascending=asked.ascending))
    return connection.call(search_runs, SearchRuns(experiments=ids, filter=terms, order_by=order, limit=_LISTED)).runs


def _column(name: str, asked: Asked) -> Column:
    """A heading leads to the best first; one that is sorted by already, to the other way round."""
    here = name == asked.sort
    way = ("down" if asked.ascending else "up") if here else ""
    facts = {**msgspec.structs.asdict(asked), "sort": name, "way": way}
    query = urlencode({field: value for field, value in facts.items() if value})
    return Column(
        name=name,
        address=f"/runs?{query}",
        sorted=("ascending" if asked.ascending else "descending") if here else "none",
    )
