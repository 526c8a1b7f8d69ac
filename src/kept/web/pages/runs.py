"""A run and its steps."""

from datetime import UTC, datetime

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from kept.app.connection import Connection
from kept.app.finding import experiment_names
from kept.app.run_files import files_of_run
from kept.core.errors import NotFound
from kept.pipelines.catalog import ListSteps, ShowLog, list_steps, show_log
from kept.pipelines.run_step import RunStep, StepStatus
from kept.registry.catalog import ListVersions, list_versions
from kept.registry.version import ModelSummary
from kept.tracking.runs import ShowRun, show_run
from kept.web.rendering import render

_MOST_VERSIONS = 500
_MOST_TRIALS = 60
_MOST_FILES = 200


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/runs/ID`."""

    @get("/runs/{run:str}", include_in_schema=False, sync_to_thread=True)
    def run_page(run: FromPath[str], step: FromQuery[str] = "") -> Response[bytes]:
        found = connection.call(show_run, ShowRun(run=run))
        steps = connection.call(list_steps, ListSteps(run=run))
        chosen = _chosen(steps, step)
        return render(
            "run.html",
            section="Runs",
            now=datetime.now(UTC),
            found=found,
            run=found.run,
            experiments=experiment_names(connection),
            steps=steps,
            chosen=chosen,
            log=connection.call(show_log, ShowLog(run=run, step=chosen.step)) if chosen else "",
            made=_made(connection, found.run.project, run) if found.run.project else None,
            files=files_of_run(connection, found, _MOST_FILES + 1),
            most_files=_MOST_FILES,
            curved=any(point.step for point in found.latest),
            trials=[connection.call(show_run, ShowRun(run=one.id)) for one in found.children[:_MOST_TRIALS]],
        )

    return [run_page]


def _chosen(steps: list[RunStep], name: str) -> RunStep | None:
    """The step whose log is shown: the one asked for, else the one that failed or runs."""
    if name:
        found = next((one for one in steps if one.step == name), None)
        if found is None:
            raise NotFound(f"the run has no step {name!r}", where="runs")
        return found
    telling = (StepStatus.FAILED, StepStatus.RUNNING)
    return next((one for status in telling for one in steps if one.status is status), None)


def _made(connection: Connection, project: str, run: str) -> ModelSummary | None:
    """The version that the run registered, among the newest of its project."""
    found = connection.call(list_versions, ListVersions(project=project, limit=_MOST_VERSIONS))
    return next((one for one in found if one.run_id == run), None)
