"""All pages. A page asks operations and shows what they answer."""

from litestar.handlers import HTTPRouteHandler

from kept.app.connection import Embedded
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.web.pages import alerts, audit, comparing, data, dealing, explaining, loop, models, run_list, runs, trace


def page_routes(workspace: Workspace, actor: Actor) -> list[HTTPRouteHandler]:
    """The routes of the pages."""
    connection = Embedded(workspace, actor)
    return [
        route
        for page in (loop, models, comparing, run_list, runs, data, alerts, dealing, audit, trace, explaining)
        for route in page.routes(connection)
    ]
