"""Starting the prediction service of a workspace. It opens only what it needs, so that it starts light."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from kept.app.database import database_of, may_be_there
from kept.app.heartbeat import Heartbeat, beating
from kept.core.clock import SystemClock
from kept.core.errors import NotFound
from kept.deployment.records import current_routes
from kept.deployment.routing import RoutingTable
from kept.serving.local import RouteSource
from kept.serving.service import serve
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.database import Database


class DatabaseRoutes:
    """The routing table in the database of records, which may not be there yet."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self._settings = settings
        self._root = root
        self._database: Database | None = None

    def current(self, known_revision: int | None) -> RoutingTable | None:
        """The table in force, or None when its revision is the known one. Raises when it cannot be read now."""
        if not may_be_there(self._settings, self._root):
            raise NotFound("there is no database", where=str(self._root))
        if self._database is None:
            # Predictions go on from the local copy, and the next look is soon: nothing waits here.
            self._database = database_of(self._settings, self._root, patience=0)
        with self._database.reading() as connection:
            found = current_routes(connection)
        revision = max((one.revision for one in found), default=0)
        if revision == known_revision:
            return None
        return RoutingTable(revision=revision, routes=tuple(one.route for one in found))


def serve_predictions(settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serves every endpoint of the workspace until SIGTERM or SIGINT. It starts, too, where there is no workspace yet."""
    root = Path(settings.workspace).expanduser().resolve()
    root.mkdir(parents=True, exist_ok=True)
    address = f"http://{settings.host}:{settings.port + 1}"
    alive = Heartbeat(database_of(settings, root, patience=0), SystemClock(), "serve", address)
    with beating(alive) if may_be_there(settings, root) else nullcontext():
        serve(root, settings, DatabaseRoutes(settings, root), FolderBlobs(root / "blobs"), started=started)


def _fits(routes: DatabaseRoutes) -> RouteSource:
    return routes
