"""Entry point of the processes that `kept up` starts: without the command line, which would take each 9 MB more."""

import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from kept.app.supervisor import Supervisor, stop_with_parent
from kept.cli.main import guarded
from kept.settings.settings import Settings, load_settings

# Each process imports what it needs and nothing of the others.


def serve(settings: Settings) -> None:
    """Answers predictions until SIGTERM or SIGINT."""
    from kept.app.prediction_service import serve_predictions  # noqa: PLC0415

    stop_with_parent()
    serve_predictions(settings, started=_say)


def web(settings: Settings) -> None:
    """Serves the API and the pages until SIGTERM or SIGINT."""
    from kept.app.courier import carrying  # noqa: PLC0415
    from kept.app.heartbeat import Heartbeat, beating  # noqa: PLC0415
    from kept.app.logs import log_plainly  # noqa: PLC0415
    from kept.app.workspace import embedded_actor, open_workspace  # noqa: PLC0415
    from kept.web.site import serve_site  # noqa: PLC0415

    log_plainly()
    stop_with_parent()
    opened = open_workspace(settings, create=True)
    address = f"http://{settings.host}:{settings.port}"
    with beating(Heartbeat(opened.database, opened.clock, "web", address)), carrying(opened):
        serve_site(opened, embedded_actor(settings, "api"), started=partial(_say, f"{address} (pages and API)"))


def work(settings: Settings) -> None:
    """Runs pipelines, ships logs, watches and decides, until SIGTERM or SIGINT."""
    from kept.app.worker import work as working  # noqa: PLC0415
    from kept.app.workspace import open_workspace  # noqa: PLC0415

    stop_with_parent()
    opened = open_workspace(settings, create=True)
    _say(f"At work in {opened.root}")
    working(opened)


def up(settings: Settings) -> None:
    """Starts the others and keeps them up, until SIGTERM or SIGINT."""
    from kept.cli.starting import start_all, wait_until_ready  # noqa: PLC0415

    root = Path(settings.workspace).resolve()

    def tell(name: str, code: int) -> None:
        # What a signal ended did not say why.
        said = supervisor.last_words(name) if code > 0 else ""
        _say(f"{name} ended ({code}){f': {said}' if said else ''}; starting it again")

    supervisor = Supervisor(root / "logs", tell)

    def stop(_: int, __: FrameType | None) -> None:
        # Not here: a handler must not wait for processes.
        threading.Thread(target=supervisor.stop, name="stop").start()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    start_all(supervisor, settings)
    try:
        wait_until_ready(settings, supervisor)
        if supervisor.stopping:
            return
        _say(f"Kept is up: http://{settings.host}:{settings.port} (pages and API)")
        _say(f"Predictions: http://{settings.host}:{settings.port + 1}   Logs: {root / 'logs'}")
        _say("Ctrl-C stops it.")
        supervisor.watch()
    finally:
        supervisor.stop()


MEMBERS: dict[str, Callable[[Settings], None]] = {"serve": serve, "up": up, "web": web, "work": work}


def main() -> None:
    """`python -m kept.cli.members KIND WORKSPACE HOST PORT`."""
    kind, workspace, host, port = sys.argv[1:]
    settings = load_settings(Path.cwd(), workspace=workspace, host=host, port=int(port))
    sys.exit(guarded(lambda: MEMBERS[kind](settings)))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
