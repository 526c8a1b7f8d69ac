"""The first page, and the page of one endpoint: the closed loop as it stands, and its life over event time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from kept.app.connection import Connection
from kept.app.processes import ListProcesses, list_processes
from kept.deployment.catalog import ListRollouts, ShowHistory, list_rollouts, show_history
from kept.loop.decisions import ListDecisions, list_decisions
from kept.loop.rollout_report import RolloutReport, ShowRollout, show_rollout
from kept.monitoring import skew_watch
from kept.monitoring.alerts import ListAlerts, list_alerts
from kept.monitoring.catalog import DetectorState, ShowWindows, show_windows
from kept.monitoring.estimates import ShowEstimates, show_estimates
from kept.monitoring.result import WindowResult
from kept.web.pages.facts import LoopFacts, all_loops, one_loop
from kept.web.pages.stages import Stage, current, stages
from kept.web.pages.timeline import timeline
from kept.web.rendering import render

_WINDOWS_SHOWN = 14
_LISTED = 200
# A meter begins at this share of the budget: evidence grows by powers.
_FAINT = 1e-4


@dataclass(frozen=True, kw_only=True)
class WindowTable:
    """Results of the last windows, newest first: for each window, the value of each name."""

    names: tuple[str, ...]
    rows: tuple[tuple[datetime, dict[str, WindowResult]], ...]


@dataclass(frozen=True, kw_only=True)
class Card:
    """One loop as it is shown."""

    facts: LoopFacts
    stages: tuple[Stage, ...]
    now_at: Stage | None
    table: WindowTable

    @property
    def problems(self) -> tuple[Stage, ...]:
        """What a person should look at."""
        return tuple(one for one in self.stages if one.state == "problem")


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A detector's value against its budget."""

    width: float
    """0 to 100, on a logarithmic scale."""
    text: str


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/`, `/endpoints/NAME` and the data of its chart."""

    @get("/", include_in_schema=False, sync_to_thread=True)
    def first() -> Response[bytes]:
        return render(
            "loop.html",
            section="Loop",
            now=datetime.now(UTC),
            loops=[card_of(one) for one in all_loops(connection)],
            processes=connection.call(list_processes, ListProcesses()),
            share_of_budget=meter,
        )

    @get("/endpoints/{endpoint:str}", include_in_schema=False, sync_to_thread=True)
    def endpoint_page(endpoint: FromPath[str]) -> Response[bytes]:
        facts = one_loop(connection, endpoint)
        return render(
            "endpoint.html",
            section="Loop",
            now=datetime.now(UTC),
            card=card_of(facts),
            history=connection.call(show_history, ShowHistory(endpoint=endpoint, limit=_LISTED)),
            rollouts=connection.call(list_rollouts, ListRollouts(endpoint=endpoint, limit=_LISTED)),
            alerts=connection.call(list_alerts, ListAlerts(endpoint=endpoint, limit=_LISTED)),
            decisions=connection.call(list_decisions, ListDecisions(project=facts.state.project, limit=_LISTED))
            if facts.state
            else [],
            trial=_trial(connection, facts),
            skew=_skew(connection, endpoint),
            estimates=connection.call(show_estimates, ShowEstimates(endpoint=endpoint, limit=_WINDOWS_SHOWN)),
            share_of_budget=meter,
        )

    @get("/endpoints/{endpoint:str}/timeline.json", include_in_schema=False, sync_to_thread=True)
    def chart(endpoint: FromPath[str]) -> Response[bytes]:
        found = timeline(connection, one_loop(connection, endpoint))
        return Response(msgspec.json.encode(found), media_type="application/json")

    return [first, endpoint_page, chart]


def _trial(connection: Connection, facts: LoopFacts) -> RolloutReport | None:
    """How the newest rollout goes, while it is on trial, and how its shadow differed."""
    rollout = facts.state.rollout if facts.state else None
    if facts.state is None or rollout is None:
        return None
    if rollout.phase is None and not any(one.state == "shadow" for one in rollout.evidence):
        return None
    return connection.call(show_rollout, ShowRollout(endpoint=facts.state.endpoint))


def _skew(connection: Connection, endpoint: str) -> dict[str, list[WindowResult]]:
    """How the last releases were served against their training rows, and each feature against the store, newest first."""

    def told(metric: str) -> list[WindowResult]:
        return connection.call(show_windows, ShowWindows(endpoint=endpoint, monitor=skew_watch.MONITOR, metric=metric))[
            ::-1
        ]

    values: dict[str, WindowResult] = {}
    for one in told(skew_watch.VALUES):
        values.setdefault(one.slice, one)
    return {"releases": told(skew_watch.RELEASE)[:_WINDOWS_SHOWN], "values": [values[name] for name in sorted(values)]}


def card_of(facts: LoopFacts) -> Card:
    """A loop, ready to be shown."""
    found = stages(facts)
    windows = facts.state.windows if facts.state else ()
    return Card(facts=facts, stages=found, now_at=current(found), table=window_table(windows))


def window_table(results: Iterable[WindowResult]) -> WindowTable:
    """Results by window; of several versions the one with most rows."""
    rows: dict[datetime, dict[str, WindowResult]] = {}
    for one in results:
        known = rows.setdefault(one.start, {}).get(one.metric)
        if known is None or known.rows < one.rows:
            rows[one.start][one.metric] = one
    last = sorted(rows.items(), reverse=True)[:_WINDOWS_SHOWN]
    names = sorted({name for _, values in last for name in values}, key=lambda name: (name in {"drift", "decay"}, name))
    return WindowTable(names=tuple(names), rows=tuple(last))


def meter(state: DetectorState) -> Meter:
    """A detector's value as a share of its budget."""
    part = (state.value or 0.0) / state.budget if state.budget else 0.0
    if part <= _FAINT:
        return Meter(width=0.0, text="calm")
    width = 100.0 * (1.0 - math.log10(min(part, 1.0)) / math.log10(_FAINT))
    return Meter(width=width, text=f"{part:.1%}" if part < 0.1 else f"{min(part, 1):.0%}")
