"""Curves of a run, and runs compared over their seeds and folds."""

import math
from collections import Counter
from collections.abc import Sequence
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
from kept.tracking.points import Point
from kept.tracking.requests import MetricHistoryBulk
from kept.tracking.run import RunDetail
from kept.tracking.runs import ShowRun, show_run
from kept.web.rendering import render

_MOST_CURVES = 24
_MOST_POINTS = 500
_MOST_TOGETHER = 12
_POINTS_TOGETHER = 200
_FIELDS = ("run", "experiment", "where", "by", "metric", "baseline")


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over its steps; a value that is not finite is None. `whole`: whether these are all points."""

    name: str
    run: str
    """The run's name."""
    steps: list[int]
    values: list[float | None]
    whole: bool


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/runs/ID/curves.json`, `/runs/curves.json`, `/runs/compare` and `/runs/compare.json`."""

    @get("/runs/{run:str}/curves.json", include_in_schema=False, sync_to_thread=True)
    def curves_json(run: FromPath[str]) -> Response[bytes]:
        found = curves(connection, connection.call(show_run, ShowRun(run=run)))
        return Response(msgspec.json.encode(found), media_type="application/json")

    @get("/runs/curves.json", include_in_schema=False, sync_to_thread=True)
    def curves_together_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = _asked(request)
        found = curves_together(connection, asked["run"][:_MOST_TOGETHER], asked["metric"])
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
            curved=_curved(connection, found) if found else "",
            together=_MOST_TOGETHER,
            query=urlencode([(name, value) for name, values in asked.items() for value in values]),
        )

    @get("/runs/compare.json", include_in_schema=False, sync_to_thread=True)
    def compare_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        found = connection.call(compare_runs, _request(_asked(request)))
        return Response(msgspec.json.encode(found), media_type="application/json")

    return [curves_json, curves_together_json, compare_page, compare_json]


def curves(connection: Connection, found: RunDetail) -> list[Curve]:
    """The metrics of a run that have more than one point, evenly thinned where they have very many."""
    drawn = []
    for point in found.latest[:_MOST_CURVES]:
        request = MetricHistoryBulk(runs=[found.run.id], name=point.name, sample=_MOST_POINTS)
        points = [one.point for one in connection.call(metric_history_bulk, request)]
        if len(points) > 1:
            drawn.append(_curve(found.run.name, points, _MOST_POINTS))
    return drawn


def curves_together(connection: Connection, runs: Sequence[str], metrics: Sequence[str]) -> list[Curve]:
    """Each of the metrics that has more than one point in any of the runs, one curve for each run that has it."""
    names = {run: connection.call(show_run, ShowRun(run=run)).run.name for run in runs}
    given = Counter(names.values())
    names = {run: name if name and given[name] == 1 else f"{name} {run[-8:]}".strip() for run, name in names.items()}
    drawn = []
    for metric in metrics[:_MOST_CURVES]:
        request = MetricHistoryBulk(runs=list(names), name=metric, sample=_POINTS_TOGETHER)
        points = dict[str, list[Point]]()
        for one in connection.call(metric_history_bulk, request):
            points.setdefault(one.run, []).append(one.point)
        if any(len(some) > 1 for some in points.values()):
            drawn += [_curve(names[run], some, _POINTS_TOGETHER) for run, some in points.items()]
    return drawn


def _curve(run: str, points: Sequence[Point], most: int) -> Curve:
    values = [one.value if math.isfinite(one.value) else None for one in points]
    name, steps = points[0].name, [one.step for one in points]
    return Curve(name=name, run=run, steps=steps, values=values, whole=len(points) < most)


def _curved(connection: Connection, found: RunComparison) -> str:
    """The query for the curves of what is compared, by its first runs; nothing where none has a metric over steps."""
    runs = [run for group in found.groups for run in group.runs][:_MOST_TOGETHER]
    metrics = {metric.name for metric in found.metrics}
    details = [connection.call(show_run, ShowRun(run=run)) for run in runs]
    stepped = {point.name for one in details for point in one.latest if point.step and point.name in metrics}
    return urlencode([("run", run) for run in runs] + [("metric", name) for name in sorted(stepped)]) if stepped else ""


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
