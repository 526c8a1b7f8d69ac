"""Alerts: what stands, who deals with it; and one of them with its evidence and what the loop did about it."""

from datetime import UTC, datetime

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from kept.app.connection import Connection
from kept.loop.incident_answers import ShowAnswer, show_answer
from kept.monitoring.incidents import (
    ListIncidents,
    ListMutes,
    ShowIncident,
    list_incidents,
    list_mutes,
    show_incident,
)
from kept.web.rendering import render

_LISTED = 200


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/alerts` and `/alerts/ID`, by the id of an incident or of one of its alerts."""

    @get("/alerts", include_in_schema=False, sync_to_thread=True)
    def listed(endpoint: FromQuery[str] = "", everything: FromQuery[bool] = False) -> Response[bytes]:
        request = ListIncidents(endpoint=endpoint or None, standing=not everything, limit=_LISTED)
        return render(
            "alerts.html",
            section="Alerts",
            now=datetime.now(UTC),
            found=connection.call(list_incidents, request),
            mutes=connection.call(list_mutes, ListMutes(endpoint=endpoint or None)),
            endpoint=endpoint,
            everything=everything,
        )

    @get("/alerts/{alert:str}", include_in_schema=False, sync_to_thread=True)
    def one(alert: FromPath[str]) -> Response[bytes]:
        detail = connection.call(show_incident, ShowIncident(incident=alert))
        return render(
            "alert.html",
            section="Alerts",
            now=datetime.now(UTC),
            detail=detail,
            decisions=connection.call(show_answer, ShowAnswer(incident=detail.incident.id)),
        )

    return [listed, one]
