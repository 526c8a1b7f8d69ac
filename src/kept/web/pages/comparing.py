"""Curves of a run, and runs compared over their seeds and folds."""

import math
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from kept.app.connection import Connection
from kept.core.errors import Invalid, NotFound
from kept.tracking.comparing import compare_runs
from kept.tracking.comparison import CompareRuns, RunComparison
from kept.tracking.finding import metric_history_bulk
from kept.tracking.requests import MetricHistoryBulk
from kept.tracking.run import RunDetail
from kept.tracking.runs import ShowRun, show_run
from kept.web.rendering import render

_MOST_CURVES = 24
_MOST_POINTS = 500
_FIELDS = ("run", "experiment", "where", "by", "metric", "baseline")


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over its steps; a value that is not finite is None. `whole`: whether these are all points."""

    name: str
    steps: list[int]
    values: list[float | None]
    whole: bool


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/runs/ID/curves.json`, `/runs/compare` and `/runs/compare.json`."""

    @get("/runs/{run:str}/curves.json", include_in_schema=False, sync_to_thread=True)
    def curves_json(run: FromPath[str]) -> Response[bytes]:
        found = curves(connection, connection.call(show_run, ShowRun(run=run)))
        return Response(msgspec.json.encode(found), media_type="application/json")

    @get("/runs/compare", include_in_schema=False, sync_to_thread=True)
    def compare_page(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = _asked(request)
        found: RunComparison | None = None
        problem = ""
        if any(asked.values()):
            try:
                found = connection.call(compare_runs, _request(asked))
            except (Invalid, NotFound) as error:
                problem = str(error)
        return render(
            "compare.html",
            section="Runs",
            found=found,
            problem=problem,
            asked={
                name: " ".join(values) if name in {"where", "baseline"} else ", ".join(values)
                for name, values in asked.items()
            },
            chosen=asked["run"],
            query=urlencode([(name, value) for name, values in asked.items() for value in values]),
        )

    @get("/runs/compare.json", include_in_schema=False, sync_to_thread=True)
    def compare_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        found = connection.call(compare_runs, _request(_asked(request)))
        return Response(msgspec.json.encode(found), media_type="application/json")

    return [curves_json, compare_page, compare_json]


def curves(connection: Connection, found: RunDetail) -> list[Curve]:
    """The metrics of a run that have more than one point, evenly thinned where they have very many."""
    drawn = []
    for point in found.latest[:_MOST_CURVES]:
        request = MetricHistoryBulk(runs=[found.run.id], name=point.name, sample=_MOST_POINTS)
        points = [one.point for one in connection.call(metric_history_bulk, request)]
        if len(points) > 1:
            values = [one.value if math.isfinite(one.value) else None for one in points]
            whole = len(points) < _MOST_POINTS
            drawn.append(Curve(name=point.name, steps=[one.step for one in points], values=values, whole=whole))
    return drawn


def _asked(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    """What the address says: a field may come several times, and hold several names between commas."""
    found: dict[str, list[str]] = {}
    for name in _FIELDS:
        texts = [str(text).strip() for text in request.query_params.getall(name, [])]
        if name not in {"where", "baseline"}:
            texts = [part.strip() for text in texts for part in text.split(",")]
        found[name] = [text for text in texts if text]
    return found


def _request(asked: dict[str, list[str]]) -> CompareRuns:
    return CompareRuns(
        runs=asked["run"],
        experiments=asked["experiment"],
        filter=" and ".join(asked["where"]),
        by=asked["by"],
        metrics=asked["metric"],
        baseline="".join(asked["baseline"][:1]),
    )
