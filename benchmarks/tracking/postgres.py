"""A PostgreSQL server of the benchmark's own, as it comes, on a socket in a folder of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pwd import getpwnam
from typing import Any

import psycopg

_USER = "postgres"
_PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]


@contextmanager
def postgres_server() -> Iterator[str | None]:
    """The address of an empty database, or None where PostgreSQL is not installed."""
    place = next((place for place in _PLACES if (place / "initdb").exists() and (place / "postgres").exists()), None)
    who = _who()
    if place is None or who is None:
        yield None
        return
    # A short name: the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="kept-pg-", dir="/tmp"))
    process: subprocess.Popen[bytes] | None = None
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        data = folder / "data"
        make = [
            str(place / "initdb"),
            "-D",
            str(data),
            "-U",
            _USER,
            "--auth=trust",
            "--locale=C.UTF-8",
            "--encoding=UTF8",
        ]
        subprocess.run(make, check=True, capture_output=True, cwd=folder, timeout=120, **who)
        run = [str(place / "postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses="]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(run, stderr=log, stdout=log, cwd=folder, **who)
        url = f"postgresql://{_USER}@/postgres?host={folder}"
        _wait(url, folder / "log")
        yield url
    finally:
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
            process.wait(15)
        shutil.rmtree(folder, ignore_errors=True)


def learn(url: str) -> None:
    """Has the database look at what it holds, as it does by itself within minutes of a large change."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _who() -> dict[str, Any] | None:
    """As whom to run it: it does not run as root."""
    if os.getuid() != 0:
        return {}
    try:
        user = getpwnam(_USER)
    except KeyError:
        return None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _wait(url: str, log: Path) -> None:
    for _ in range(600):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-2_000:]}")
