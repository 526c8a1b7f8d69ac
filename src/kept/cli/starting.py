"""Starting web, work and serve together, and waiting until they answer."""

import httpx

from kept.app.supervisor import Supervisor
from kept.core.errors import Unavailable
from kept.core.listening import listen
from kept.settings.settings import Settings

_PATIENCE_SECONDS = 60


def need_ports(settings: Settings) -> None:
    """Refuses to start where another program has the port of the pages or of the predictions."""
    for port in (settings.port, settings.port + 1):
        listen(settings.host, port).close()


def start_all(supervisor: Supervisor, settings: Settings) -> None:
    """Starts web, work and serve for a workspace."""
    where = ["--workspace", settings.workspace, "--host", settings.host, "--port", str(settings.port)]
    for kind in ("serve", "web", "work"):
        supervisor.start(kind, [kind, *where])


def wait_until_ready(settings: Settings, supervisor: Supervisor) -> None:
    """Waits until pages and predictions answer; restarts what ends meanwhile."""
    waiting = [
        f"http://{settings.host}:{settings.port}/api/v1/health/ready",
        f"http://{settings.host}:{settings.port + 1}/v2/health/live",
    ]
    for _ in range(_PATIENCE_SECONDS * 10):
        waiting = [url for url in waiting if not _answers(url)]
        if not waiting or supervisor.stopping:
            return
        supervisor.look()
    fix = f"See the logs in {settings.workspace}/logs"
    raise Unavailable(f"{', '.join(waiting)} did not answer in {_PATIENCE_SECONDS} seconds", fix=fix)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False
