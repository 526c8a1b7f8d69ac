"""The pages."""

from litestar.handlers import HTTPRouteHandler

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace


def page_routes(workspace: Workspace, actor: Actor) -> list[HTTPRouteHandler]:
    """The routes of the pages."""
    del workspace, actor
    return []
