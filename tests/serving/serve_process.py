"""A prediction service whose routing table is a file: `serve_process.py ROOT [TOKEN]` with further settings in `KEPT_*`, or that serves one bundle:
`serve_process.py ROOT --bundle FOLDER`. Prints its address.
"""

import os
import sys
from pathlib import Path

import msgspec

from kept.deployment.routing import RoutingTable
from kept.serving.service import serve, serve_bundle
from kept.settings.settings import Settings, load_settings
from kept.store.blobs import FolderBlobs


class FileSource:
    """Raises when the file is not there: the database is away."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def current(self, known_revision: int | None) -> RoutingTable | None:
        table = msgspec.json.decode(self._path.read_bytes(), type=RoutingTable)
        return None if table.revision == known_revision else table


def started(address: str) -> None:
    print("service answers at", address, flush=True)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    if "--bundle" in sys.argv:
        serve_bundle(Path(sys.argv[3]), "late", Settings(), port=0, spool=root / "spool", started=started)
    else:
        token = sys.argv[2] if len(sys.argv) > 2 else ""
        settings = load_settings(root, poll_seconds=0.02, token=token or None)
        source = FileSource(root / "table.json")
        serve(root, settings, source, FolderBlobs(root / "blobs"), port=0, started=started)
    rare = {"opentelemetry", "requests"} if not os.environ.get("KEPT_TRACES_URL") else set()
    heavy = ({"sklearn", "pandas", "polars", "sqlalchemy", "scipy"} | rare) & set(sys.modules)
    assert not heavy, heavy
