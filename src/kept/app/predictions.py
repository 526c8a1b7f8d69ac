"""The prediction service of a workspace. It opens only what it needs, so that it starts light."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from kept.app.heartbeat import Heartbeat, beating
from kept.core.clock import SystemClock
from kept.core.errors import NotFound
from kept.deployment.records import current_routes
from kept.deployment.routing import RoutingTable
from kept.serving.local import RouteSource
from kept.serving.service import serve
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.sqlite import SqliteDatabase


class DatabaseRoutes:
    """The routing table in the database of records."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: SqliteDatabase | None = None

    def current(self, known_revision: int | None) -> RoutingTable | None:
        """The table in force, or None when its revision is the known one. Raises when it cannot be read now."""
        if not self._path.is_file():
            raise NotFound("there is no database", where=str(self._path))
        if self._database is None:
            self._database = SqliteDatabase(self._path)
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
    database = root / "kept.db"
    address = f"http://{settings.host}:{settings.port + 1}"
    alive = Heartbeat(SqliteDatabase(database), SystemClock(), "serve", address)
    with beating(alive) if database.is_file() else nullcontext():
        serve(root, settings, DatabaseRoutes(database), FolderBlobs(root / "blobs"), started=started)


def _fits(routes: DatabaseRoutes) -> RouteSource:
    return routes
