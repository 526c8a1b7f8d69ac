"""What the buttons of the alert pages do: each calls one operation and leads back to the page."""

from typing import Annotated, Final

import msgspec
from litestar import post
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import Body, FromPath
from litestar.response import Redirect

from kept.app.connection import Connection
from kept.monitoring.incidents import (
    Acknowledge,
    MuteAlerts,
    Resolve,
    ShowIncident,
    Unmute,
    acknowledge,
    mute,
    resolve,
    show_incident,
    unmute,
)
from kept.web.guards import own_page
from kept.web.rendering import segment

_SEE_OTHER: Final = 303
_COLUMN = "column:"

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`POST /alerts/ID/acknowledge`, `/alerts/ID/resolve`, `/alerts/ID/mute` and `/mutes/ID/end`."""

    @post("/alerts/{alert:str}/acknowledge", guards=[own_page], include_in_schema=False, sync_to_thread=True)
    def acknowledged(alert: FromPath[str], data: Form) -> Redirect:
        request = Acknowledge(incident=alert, note=data.get("note", ""), owner=data.get("owner", "").strip() or None)
        connection.call(acknowledge, request)
        return _back(alert)

    @post("/alerts/{alert:str}/resolve", guards=[own_page], include_in_schema=False, sync_to_thread=True)
    def resolved(alert: FromPath[str], data: Form) -> Redirect:
        connection.call(resolve, Resolve(incident=alert, reason=data.get("reason", "")))
        return _back(alert)

    @post("/alerts/{alert:str}/mute", guards=[own_page], include_in_schema=False, sync_to_thread=True)
    def muted(alert: FromPath[str], data: Form) -> Redirect:
        incident = connection.call(show_incident, ShowIncident(incident=alert)).incident
        request = MuteAlerts(endpoint=incident.endpoint, length=data.get("length", ""), reason=data.get("reason", ""))
        what = data.get("what", "kind")
        if what.startswith(_COLUMN):
            request = msgspec.structs.replace(request, column=what.removeprefix(_COLUMN))
        elif what == "kind":
            request = msgspec.structs.replace(request, kind=incident.kind)
        connection.call(mute, request)
        return _back(alert)

    @post("/mutes/{muted:str}/end", guards=[own_page], include_in_schema=False, sync_to_thread=True)
    def ended(muted: FromPath[str]) -> Redirect:
        connection.call(unmute, Unmute(mute=muted))
        return Redirect("/alerts", status_code=_SEE_OTHER)

    return [acknowledged, resolved, muted, ended]


def _back(alert: str) -> Redirect:
    return Redirect(f"/alerts/{segment(alert)}", status_code=_SEE_OTHER)
