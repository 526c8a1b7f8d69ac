"""Tables of every release are brought to those of today, whatever happens meanwhile, in SQLite and in PostgreSQL."""

import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from kept.core.errors import Conflict, Invalid
from kept.store.postgres import PostgresDatabase
from kept.store.revisions import FIRST, Revisions
from kept.store.schema import metadata
from kept.store.sqlite import SqliteDatabase
from postgres_server import Server
from schema_shape import Shape, shape_of, unlike

Database = SqliteDatabase | PostgresDatabase
KINDS = ["sqlite", "postgresql"]
RELEASED = Path(__file__).parent / "released"
RELEASES = sorted({path.name[:4] for path in RELEASED.glob("*.sql")})
HEAD = Revisions().head
NEXT = f"{int(HEAD) + 1:04d}"
# What Alembic does not compare, the shape of the catalogue does.
pytestmark = pytest.mark.filterwarnings("ignore:autogenerate skipping")
HOW = "The revisions do not lead to the schema. Write the next one: make migration NAME=what_changes"


class Place:
    """Where an empty database is, and how it is reached with the revisions of some folders."""

    def __init__(self, kind: str, where: str) -> None:
        self.kind = kind
        self.where = where

    def fill(self, revision: str) -> None:
        """Puts a released database there."""
        statements = (RELEASED / f"{revision}.{self.kind}.sql").read_text()
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.where)) as connection:
                connection.executescript(statements)
        else:
            with psycopg.connect(self.where) as connection:
                connection.execute(statements.encode())

    @contextmanager
    def open(self, *folders: Path) -> Iterator[Database]:
        with closing(reach(self.kind, self.where, *folders)) as database:
            yield database


def reach(kind: str, where: str, *folders: Path) -> Database:
    known = Path(sys.modules[Revisions.__module__].__file__ or "").parent / "migrations" / "versions"
    revisions = Revisions([known, *folders])
    return SqliteDatabase(Path(where), revisions) if kind == "sqlite" else PostgresDatabase(where, revisions=revisions)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place("sqlite", str(tmp_path / "kept.db"))
        return
    server: Server = request.getfixturevalue("postgres")
    with server.fresh() as url:
        with psycopg.connect(url) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        yield Place("postgresql", url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "versions"
    made.mkdir()
    return made


def further(folder: Path, body: str) -> None:
    """A revision after the newest, which does this with `connection`."""
    (folder / f"r{NEXT}_further.py").write_text(
        "import os, signal, time\n"
        "from alembic import op\n"
        f"revision, down_revision = '{NEXT}', '{HEAD}'\n"
        "def upgrade():\n"
        "    run = op.get_bind().exec_driver_sql\n"
        "    run('CREATE TABLE further (number INTEGER)')\n"
        f"    {body}\n"
    )


def fresh_shape(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Shape:
    if kind == "sqlite":
        with closing(SqliteDatabase(tmp_path / "fresh.db")) as database:
            database.create()
            with database.reading() as connection:
                return shape_of(connection)
    server: Server = request.getfixturevalue("postgres")
    with server.fresh() as url, closing(PostgresDatabase(url)) as made, made.reading() as connection:
        return shape_of(connection)


def differences(connection: Connection) -> list[Any]:
    """What Alembic would change to bring the tables to the schema."""

    def of_this_database(item: Any, *_: object) -> bool:
        rule = getattr(item, "_ddl_if", None)
        return rule is None or rule.dialect in {None, connection.dialect.name}

    options = {"compare_type": True, "compare_server_default": True, "include_object": of_this_database}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def rows_of(connection: Connection, table: str) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(text(f'SELECT * FROM "{table}"'))]


def test_the_revisions_lead_from_nothing_to_the_schema(
    place: Place, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with place.open() as database:
        with database.writing() as connection:
            Revisions().upgrade(connection)
        with database.reading() as connection:
            assert differences(connection) == [], HOW
            assert unlike(shape_of(connection), fresh_shape(place.kind, request, tmp_path)) == [], HOW
        assert database.revision() == (HEAD, HEAD)
        database.create()


@pytest.mark.parametrize("revision", RELEASES)
def test_every_released_database_comes_forward_with_all_its_rows(
    place: Place, revision: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place.fill(revision)
    with place.open() as database:
        with database.reading() as connection:
            before = {table: rows_of(connection, table) for table in shape_of(connection).tables}
        assert min(len(rows) for rows in before.values()) >= 2
        assert database.revision() == (revision, HEAD)
        database.migrate()
        assert database.revision() == (HEAD, HEAD)
        with database.reading() as connection:
            assert unlike(shape_of(connection), fresh_shape(place.kind, request, tmp_path)) == [], HOW
            assert differences(connection) == [], HOW
            for table, rows in before.items():
                if table in metadata.tables:
                    found = [{name: row[name] for name in rows[0] if name in row} for row in rows_of(connection, table)]
                    kept = [{name: row[name] for name in row if name in metadata.tables[table].c} for row in rows]
                    assert sorted(map(repr, found)) == sorted(map(repr, kept))


def test_sqlite_comes_forward_when_it_is_opened_and_a_copy_stays(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place("sqlite", str(tmp_path / "kept.db"))
    place.fill(FIRST)
    further(folder, "run('DELETE FROM runs')")
    (tmp_path / f"kept.db.revision-{FIRST}.cut-short.new").write_text("of one that was killed")
    with place.open(folder) as database, caplog.at_level(logging.WARNING):
        database.create()
        assert database.revision() == (NEXT, NEXT)
        with database.reading() as connection:
            assert rows_of(connection, "runs") == []
    assert f"brought from revision {FIRST} to {NEXT}; as it was it is kept in kept.db.revision-{FIRST}" in caplog.text
    with closing(sqlite3.connect(tmp_path / f"kept.db.revision-{FIRST}")) as copy:
        assert copy.execute("SELECT count(*) FROM runs").fetchone() == (3,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(path.name for path in tmp_path.glob("kept.db*.new")) == []


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_postgresql_comes_forward_when_a_person_says_so(place: Place, folder: Path) -> None:
    place.fill(FIRST)
    further(folder, "pass")
    with place.open(folder) as database:
        with pytest.raises(Conflict, match=f"revision {FIRST}, this Kept needs {NEXT}.*kept workspace migrate"):
            database.create()
        database.migrate()
        database.create()
        database.migrate()
        assert database.revision() == (NEXT, NEXT)


def test_tables_of_a_newer_kept_are_refused(place: Place, folder: Path) -> None:
    further(folder, "pass")
    with place.open(folder) as database:
        database.create()
    with place.open() as older:
        for do in (older.create, older.migrate):
            with pytest.raises(Invalid, match=f"revision {NEXT}, this Kept knows {HEAD}.*Install a newer Kept"):
                do()


def test_tables_of_another_program_are_refused(place: Place) -> None:
    with place.open() as database:
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('cf29f0a1e9b2')")
        with pytest.raises(Invalid, match=r"of another program \(their revision is cf29f0a1e9b2\)"):
            database.create()


_OPEN = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1].split(":")
from test_migrations import reach
database = reach(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
database.migrate() if sys.argv[2] == "postgresql" else database.create()
with database.reading() as connection:
    print(connection.exec_driver_sql("SELECT count(*) FROM further").scalar())
database.close()
"""


def opening(place: Place, folder: Path) -> subprocess.Popen[str]:
    paths = f"{Path(__file__).parent}:{Path(__file__).parents[1]}"
    arguments = [sys.executable, "-c", _OPEN, paths, place.kind, place.where, str(folder)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_open_at_once_bring_it_forward_once(place: Place, folder: Path) -> None:
    place.fill(FIRST)
    further(folder, "run('INSERT INTO further VALUES (1)'); time.sleep(0.3)")
    opened = [opening(place, folder) for _ in range(4)]
    answers = [one.communicate(timeout=60) for one in opened]
    assert [one.returncode for one in opened] == [0] * 4, answers
    assert [out.strip() for out, _ in answers] == ["1"] * 4
    said = sum("brought from" in error for _, error in answers)
    assert said == (1 if place.kind == "sqlite" else 0)


def test_a_kill_in_the_middle_leaves_it_as_it_was(place: Place, folder: Path) -> None:
    place.fill(FIRST)
    with place.open() as database, database.reading() as connection:
        before = shape_of(connection)
    further(folder, "run('DROP TABLE runs'); os.kill(os.getpid(), signal.SIGKILL)")
    killed = opening(place, folder)
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    with place.open() as database:
        assert database.revision() == (FIRST, HEAD)
        with database.reading() as connection:
            assert shape_of(connection) == before
            assert len(rows_of(connection, "runs")) == 3
    further(folder, "run('INSERT INTO further VALUES (1)')")
    again = opening(place, folder)
    assert again.communicate(timeout=60)[0].strip() == "1"


def test_a_migration_that_fails_leaves_it_as_it_was(place: Place, folder: Path) -> None:
    place.fill(FIRST)
    further(folder, "raise ZeroDivisionError")
    with place.open(folder) as database:
        with pytest.raises(ZeroDivisionError):
            database.migrate()
        assert database.revision() == (FIRST, NEXT)
        with database.reading() as connection:
            assert "further" not in shape_of(connection).tables


def test_opening_what_is_of_today_loads_no_alembic_and_costs_little(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path / "kept.db").create()
    code = "import sys\nfrom pathlib import Path\nfrom kept.store.sqlite import SqliteDatabase\n"
    code += f"SqliteDatabase(Path({str(tmp_path / 'kept.db')!r})).create()\n"
    code += "SqliteDatabase(Path(sys.argv[1])).create()\nprint('alembic' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "new.db")], capture_output=True, text=True, check=False
    )
    assert (ran.stdout.strip(), ran.stderr) == ("False", "")
    database = SqliteDatabase(tmp_path / "kept.db")
    begun = time.thread_time()
    database.create()
    assert time.thread_time() - begun < 1
    database.close()


def test_processes_that_open_a_new_file_at_once_all_find_the_tables(tmp_path: Path) -> None:
    code = "import sys\nfrom pathlib import Path\nfrom kept.store.sqlite import SqliteDatabase\n"
    code += "database = SqliteDatabase(Path(sys.argv[1]))\ndatabase.create()\nprint(database.revision()[0])"
    for turn in range(3):
        command = [sys.executable, "-c", code, str(tmp_path / f"{turn}.db")]
        opened = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ, text=True)
            for _ in range(4)
        ]
        assert [one.communicate(timeout=60) for one in opened] == [(f"{HEAD}\n", "")] * 4


def test_every_table_has_rows_in_each_released_database() -> None:
    assert RELEASES[0] == FIRST
    for revision in RELEASES:
        for kind in KINDS:
            statements = (RELEASED / f"{revision}.{kind}.sql").read_text()
            made = {line.split("(")[0].split()[-1] for line in statements.splitlines() if "CREATE TABLE" in line}
            assert all(statements.count(f'INSERT INTO "{name}" ') >= 2 for name in made - {"alembic_version"})


def test_the_schema_is_no_part_of_a_revision() -> None:
    """A released revision does the same for ever, so nothing that changes is imported by one."""
    folder = Path(sys.modules[Revisions.__module__].__file__ or "").parent / "migrations" / "versions"
    for path in folder.glob("r*.py"):
        imported = [line for line in path.read_text().splitlines() if line.startswith(("import ", "from "))]
        assert all("kept." not in line or "kept.store.migrations" in line for line in imported)
