"""`python -m kept.serving BUNDLE`: the serving part alone, as it stands in an image. Address and token: `KEPT_HOST`, `KEPT_TOKEN`."""

import argparse
import sys
from pathlib import Path

from kept.core.errors import KeptError
from kept.serving.service import serve_bundle
from kept.settings.settings import load_settings


def main() -> int:
    """Serves a bundle until SIGTERM; 1 when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m kept.serving", description="Serve a bundle.")
    parser.add_argument("bundle", type=Path, help="the bundle's folder")
    parser.add_argument("--name", default="model", help="name of the endpoint")
    parser.add_argument("--port", type=int, default=8701, help="port that predictions answer on")
    parser.add_argument("--spool", type=Path, default=Path("spool"), help="folder of the prediction log")
    given = parser.parse_args()
    try:
        settings = load_settings(Path.cwd())
        serve_bundle(given.bundle, given.name, settings, port=given.port, spool=given.spool, started=_say)
    except KeptError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _say(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
