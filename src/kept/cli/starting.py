"""Starting web, work and serve together, and waiting until they are ready."""

import http.client

from kept.app.supervisor import Supervisor
from kept.core.errors import Unavailable
from kept.core.listening import listen
from kept.settings.exposure import check_exposure
from kept.settings.settings import Settings

_PATIENCE_SECONDS = 60


def check_addresses(settings: Settings) -> None:
    """Refuses to start where another program has the port of the pages or of the predictions, or where others could ask without a token."""
    check_exposure(settings.host, secret=bool(settings.token))
    for port in (settings.port, settings.port + 1):
        listen(settings.host, port).close()


def start_all(supervisor: Supervisor, settings: Settings) -> None:
    """Starts web, work and serve for a workspace."""
    for kind in ("serve", "web", "work"):
        supervisor.start(kind, [kind, settings.workspace, settings.host, str(settings.port)], module="kept.cli.members")


def wait_until_ready(settings: Settings, supervisor: Supervisor) -> None:
    """Waits until pages and predictions answer; restarts what ends meanwhile."""
    waiting = [(settings.port, "/api/v1/health/ready"), (settings.port + 1, "/v2/health/live")]
    for _ in range(_PATIENCE_SECONDS * 10):
        waiting = [(port, path) for port, path in waiting if not _answers(settings.host, port, path)]
        if not waiting or supervisor.stopping:
            return
        supervisor.look()
    fix = f"See the logs in {settings.workspace}/logs"
    silent = ", ".join(f"http://{settings.host}:{port}{path}" for port, path in waiting)
    raise Unavailable(f"{silent} did not answer in {_PATIENCE_SECONDS} seconds", fix=fix)


def _answers(host: str, port: int, path: str) -> bool:
    # The clients of the rest of Kept are larger than this process, which stays.
    connection = http.client.HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < http.client.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
