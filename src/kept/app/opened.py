"""`kept.open`: a workspace or a server, queried from Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from kept.app.connection import Connection, Embedded, Remote
from kept.app.finding import find_runs
from kept.app.operations import OPERATIONS
from kept.app.workspace import embedded_actor, open_workspace
from kept.core.errors import Invalid, NotFound
from kept.settings.settings import load_settings
from kept.tracking.comparing import compare_runs
from kept.tracking.comparison import CompareRuns, RunComparison
from kept.tracking.finding import metric_history
from kept.tracking.points import Point
from kept.tracking.requests import MetricHistory
from kept.tracking.run import RunData, RunDetail
from kept.tracking.runs import ShowRun, show_run

_MOST = 50_000


class Opened:
    """A workspace or a server. Its methods are the questions asked most; `call` does any operation there is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def call(self, operation: str, /, **fields: Any) -> Any:
        """Does an operation of the reference by its name, as `call("runs.delete", run=..., reason=...)`.

        Raises:
            NotFound: there is no such operation.
            Invalid: its request has no such field, or not with such a value.
        """
        found = OPERATIONS.get(operation)
        if found is None:
            raise NotFound(f"there is no operation {operation!r}", where="kept", fix="See the reference of operations")
        try:
            request = msgspec.convert(fields, found.request_type)
        except msgspec.ValidationError as error:
            raise Invalid(str(error), where=operation, fix="See the reference of operations for its fields") from error
        return self._connection.call(found, request)

    def runs(self, experiment: str | None = None, where: str = "", *, limit: int = _MOST) -> list[RunData]:
        """Runs of an experiment (of all, without one) that fit a filter, with what was logged to them; begun last first."""
        return find_runs(self._connection, experiment=experiment, where=where, limit=limit)[0]

    def frame(self, experiment: str | None = None, where: str = "", *, limit: int = _MOST) -> pl.DataFrame:
        """The same as a table: a row a run; `run`, `name`, `status`, `begun`, and `params.*`, `metrics.*` and `tags.*`."""
        found = self.runs(experiment, where, limit=limit)
        params = sorted({name for one in found for name in one.params})
        metrics = sorted({point.name for one in found for point in one.latest})
        tags = sorted({name for one in found for name in one.run.tags})
        latest = [{point.name: point.value for point in one.latest} for one in found]
        columns = [
            pl.Series("run", [one.run.id for one in found], pl.String),
            pl.Series("name", [one.run.name for one in found], pl.String),
            pl.Series("status", [one.run.status.value for one in found], pl.String),
            pl.Series("begun", [one.run.started_at for one in found], pl.Datetime("us", "UTC")),
            *(pl.Series(f"params.{name}", [one.params.get(name) for one in found], pl.String) for name in params),
            *(pl.Series(f"metrics.{name}", [values.get(name) for values in latest], pl.Float64) for name in metrics),
            *(pl.Series(f"tags.{name}", [one.run.tags.get(name) for one in found], pl.String) for name in tags),
        ]
        return pl.DataFrame(columns)

    def run(self, run: str) -> RunDetail:
        """A run with its parameters, latest metrics and parts."""
        return self._connection.call(show_run, ShowRun(run=run))

    def history(self, run: str, metric: str) -> list[Point]:
        """Every point of a metric of a run, by time and step."""
        return self._connection.call(metric_history, MetricHistory(run=run, name=metric)).points

    def compare(
        self,
        experiment: str | None = None,
        *,
        runs: Sequence[str] = (),
        where: str = "",
        by: Sequence[str] = (),
        metrics: Sequence[str] = (),
        baseline: str = "",
        level: float = 0.95,
    ) -> RunComparison:
        """Groups of runs over their seeds or folds, with intervals, and their differences from a baseline."""
        request = CompareRuns(
            runs=list(runs),
            experiments=[experiment] if experiment else [],
            filter=where,
            by=list(by),
            metrics=list(metrics),
            baseline=baseline,
            level=level,
        )
        return self._connection.call(compare_runs, request)


def open(place: str | None = None, *, token: str | None = None) -> Opened:  # noqa: A001 - `kept.open` is its name
    """Opens the folder of a workspace, or the server at an address; by default what `KEPT_URL` or `KEPT_WORKSPACE` names.

    Raises:
        NotFound: there is no workspace in that folder.
    """
    remote = place is not None and place.startswith(("http://", "https://"))
    # A folder that is named is meant, wherever the environment points.
    url = place if remote else "" if place is not None else None
    settings = load_settings(Path.cwd(), url=url, token=token, workspace=None if remote else place)
    if settings.url:
        return Opened(Remote(settings.url, settings.token))
    return Opened(Embedded(open_workspace(settings, create=False), embedded_actor(settings, "python")))
