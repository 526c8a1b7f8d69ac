"""What the page of the loop tells: everything about each project and endpoint, asked of the operations."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from kept.app.connection import Connection
from kept.app.process import Process
from kept.app.processes import ListProcesses, list_processes
from kept.core.errors import Damaged
from kept.data.catalog import ListData, list_data
from kept.data.version import DatasetVersion
from kept.loop.decision import TRAINING, Decision
from kept.loop.decisions import ListDecisions, list_decisions
from kept.loop.status import EndpointState, ShowLoop, show_loop
from kept.monitoring.alert import Alert
from kept.monitoring.alerts import ListAlerts, list_alerts
from kept.monitoring.catalog import MonitorStatus, ShowMonitors, show_monitors
from kept.monitoring.plan import MonitoringPlan, monitoring_plan
from kept.pipelines.catalog import ListSteps, list_steps
from kept.pipelines.run_step import RunStep
from kept.plan.catalog import ListProjects, list_projects
from kept.plan.records import ProjectRecord
from kept.registry.catalog import ListVersions, list_versions
from kept.registry.version import ModelSummary
from kept.tracking.run import Run
from kept.tracking.runs import ListRuns, list_runs

_SHOWN = 8
_MOST_VERSIONS = 500
_MOST_DATA = 50
VIEWS = "features/"


@dataclass(frozen=True, kw_only=True)
class LoopFacts:
    """One loop: a project with its endpoint. Either may be missing: a project before its first release, a model without one."""

    name: str
    project: ProjectRecord | None
    plan: MonitoringPlan | None = None
    state: EndpointState | None = None
    monitors: MonitorStatus | None = None
    run: Run | None = None
    steps: tuple[RunStep, ...] = ()
    versions: tuple[ModelSummary, ...] = ()
    """Newest first."""
    data: tuple[DatasetVersion, ...] = ()
    """The newest version of each dataset and feature view."""
    alerts: tuple[Alert, ...] = ()
    decisions: tuple[Decision, ...] = ()
    processes: tuple[Process, ...] = ()
    trouble: str = ""
    """What could not be read, and why: one damaged part does not hide the others."""

    @property
    def endpoint(self) -> str | None:
        """The endpoint's name, once there is one."""
        return self.state.endpoint if self.state else None

    @property
    def by_id(self) -> dict[str, ModelSummary]:
        """Versions by id."""
        return {one.id: one for one in self.versions}

    def alive(self, kind: str) -> bool:
        """Whether a process of this kind lives."""
        return any(one.kind == kind for one in self.processes)


def all_loops(connection: Connection) -> list[LoopFacts]:
    """Every project with its endpoints, then endpoints without a project."""
    projects = {one.name: one for one in connection.call(list_projects, ListProjects())}
    states = connection.call(show_loop, ShowLoop()).endpoints
    processes = (*connection.call(list_processes, ListProcesses()),)
    found = [_of_endpoint(connection, one, projects.get(one.project)) for one in states]
    served = {one.project for one in states}
    found += [_of_project(connection, one) for name, one in projects.items() if name not in served]
    return [replace(one, processes=processes) for one in sorted(found, key=_order)]


def one_loop(connection: Connection, endpoint: str) -> LoopFacts:
    """One endpoint's loop; `NotFound` when there is no such endpoint."""
    (state,) = connection.call(show_loop, ShowLoop(endpoint=endpoint)).endpoints
    projects = {one.name: one for one in connection.call(list_projects, ListProjects())}
    processes = (*connection.call(list_processes, ListProcesses()),)
    return replace(_of_endpoint(connection, state, projects.get(state.project)), processes=processes)


def newest(versions: Iterable[DatasetVersion]) -> tuple[DatasetVersion, ...]:
    """The newest version of each dataset, from a list that is newest first."""
    found: dict[tuple[str, str], DatasetVersion] = {}
    for one in versions:
        found.setdefault((one.project, one.dataset), one)
    return tuple(found.values())


def _of_endpoint(connection: Connection, state: EndpointState, project: ProjectRecord | None) -> LoopFacts:
    request = ListAlerts(endpoint=state.endpoint, limit=_SHOWN)
    monitors, trouble = None, ""
    try:
        monitors = connection.call(show_monitors, ShowMonitors(endpoint=state.endpoint))
    except Damaged as error:
        trouble = str(error)
    return replace(
        _common(connection, state.project),
        name=state.endpoint,
        project=project,
        plan=monitoring_plan(project) if project else None,
        state=state,
        monitors=monitors,
        trouble=trouble,
        run=state.run,
        steps=state.steps,
        alerts=(*connection.call(list_alerts, request),),
    )


def _of_project(connection: Connection, project: ProjectRecord) -> LoopFacts:
    runs = connection.call(list_runs, ListRuns(project=project.name, kind=TRAINING, limit=1))
    steps = connection.call(list_steps, ListSteps(run=runs[0].id)) if runs else []
    return replace(
        _common(connection, project.name),
        project=project,
        plan=monitoring_plan(project),
        run=runs[0] if runs else None,
        steps=tuple(steps),
    )


def _common(connection: Connection, project: str) -> LoopFacts:
    return LoopFacts(
        name=project,
        project=None,
        versions=(*connection.call(list_versions, ListVersions(project=project, limit=_MOST_VERSIONS)),),
        data=newest([*connection.call(list_data, ListData(project=project, limit=_MOST_DATA))]),
        decisions=(*connection.call(list_decisions, ListDecisions(project=project, limit=_SHOWN)),),
    )


def _order(facts: LoopFacts) -> tuple[bool, float, str]:
    """What was watched last comes first."""
    present: datetime | None = facts.state.event_time if facts.state else None
    busy = facts.state is not None and facts.state.busy
    return not busy, -(present.timestamp() if present else 0.0), facts.name
