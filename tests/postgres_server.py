"""A PostgreSQL server of the tests' own: in a folder of its own, on a socket of its own, gone with the tests."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from pwd import getpwnam
from typing import Any

import psycopg
import pytest

from kept.store.postgres import PostgresDatabase

_USER = "postgres"
_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
# What is written need not outlive the machine.
_FAST = ["fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=60", "listen_addresses="]


class Server:
    """A running server. Each database it gives has the tables of Kept, empty."""

    def __init__(self, folder: Path, command: list[str], who: dict[str, Any]) -> None:
        self._folder = folder
        self._command, self._who = command, who
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self._numbers = count()
        self._admin("CREATE DATABASE template")
        database = PostgresDatabase(self.url("template"), patience=0)
        database.create()
        database.close()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log, stdout=log, cwd=self._folder, **self._who)
        _wait(self._folder)

    def crash(self) -> None:
        """Ends it at once, without a word to its clients; `start` recovers what was committed."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """Ends it."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(60)
        self._process = None

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql://{_USER}@/{name}?host={self._folder}"

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The address of a new database, which is gone at the end."""
        name = f"test{next(self._numbers)}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE template STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    def _admin(self, command: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(command.encode())


@contextmanager
def running_server() -> Iterator[Server]:
    """A server; the test is skipped with a reason where none can be started."""
    initdb, postgres = _binary("initdb"), _binary("postgres")
    who: dict[str, Any] = {}
    # A short name: the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="kept-pg-", dir="/tmp"))
    server: Server | None = None
    try:
        if os.getuid() == 0:
            # PostgreSQL does not run as root.
            user = _user()
            who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = folder / "data"
        # A language of its own, so that nothing passes because names happen to sort as bytes do.
        language = ["--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8", "--encoding=UTF8"]
        made = [initdb, "-D", str(data), "-U", _USER, "--auth=trust", "--no-sync", *language]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, timeout=60, **who)
        options = [part for option in (*_FAST, f"unix_socket_directories={folder}") for part in ("-c", option)]
        server = Server(folder, [postgres, "-D", str(data), *options], who)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _binary(name: str) -> str:
    for place in (*_PLACES, Path("/usr/local/bin"), Path("/usr/bin")):
        if (place / name).exists():
            return str(place / name)
    return shutil.which(name) or pytest.skip(f"{name} of PostgreSQL is not installed")


def _user() -> Any:
    try:
        return getpwnam(_USER)
    except KeyError:
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {_USER}")


def _wait(folder: Path) -> None:
    for _ in range(1_200):
        try:
            psycopg.connect(f"postgresql://{_USER}@/postgres?host={folder}").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
