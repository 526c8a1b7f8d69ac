"""`make migration`: what it writes brings the old tables to the new ones, whatever is in them, with no work by hand."""

import importlib.util
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from kept.store.migrations.upgrading import upgrade
from kept.store.schema import Whole, Words
from postgres_server import Server
from schema_shape import shape_of

ROOT = Path(__file__).resolve().parents[2]


def _loaded() -> Any:
    specification = importlib.util.spec_from_file_location("migration", ROOT / "tools" / "migration.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules["migration"] = module
    specification.loader.exec_module(module)
    return module


TOOL = _loaded()
_ddl: Any = DDL


def _first() -> MetaData:
    schema = MetaData()
    people = Table(
        "people",
        schema,
        Column("id", Whole, primary_key=True),
        Column("name", Words(20), nullable=False),
        Column("age", Integer, nullable=True),
        Column("nick", Text, nullable=True),
        sqlite_autoincrement=True,
    )
    Index("people_name", people.c.name)
    Index("people_age", people.c.age)
    Table(
        "marks",
        schema,
        Column("person", Whole, primary_key=True, autoincrement=False),
        Column("mark", Words, primary_key=True),
        sqlite_with_rowid=False,
    )
    Table("plain", schema, Column("id", Whole, primary_key=True), Column("value", Words, nullable=False))
    return schema


def _second() -> MetaData:
    schema = MetaData()
    people = Table(
        "people",
        schema,
        Column("id", Whole, primary_key=True),
        Column("owner", Words(40), nullable=False),
        Column("name", Words(40), nullable=False),
        Column("age", BigInteger, nullable=False, server_default="7"),
        CheckConstraint("age > 0 AND name <> 'a, (b'", name="people_age_positive"),
        UniqueConstraint("owner", "name", name="people_owner_name"),
        sqlite_autoincrement=True,
    )
    Index(
        "people_name",
        people.c.name.desc(),
        sqlite_where=text(r"age > 3 AND name <> 'x%\:y'"),
        postgresql_where=text(r"age > 3 AND name <> 'x%\:y'"),
    )
    marks = Table(
        "marks",
        schema,
        Column("person", Whole, primary_key=True, autoincrement=False),
        Column("mark", Words, primary_key=True),
        Column("value", Words, nullable=False, server_default="none"),
        sqlite_with_rowid=False,
    )
    plain = Table(
        "plain",
        schema,
        Column("id", Whole, primary_key=True),
        Column("value", Words, nullable=False),
        Column("more", Words, nullable=True),
        Column("state", Words(9), nullable=False, server_default="new"),
    )
    hooks = Table(
        "hooks",
        schema,
        Column("id", Whole, primary_key=True),
        Column("person", Whole, ForeignKey("people.id"), nullable=False),
        Column("state", String(8), CheckConstraint("state IN ('on', 'off')"), nullable=False),
        sqlite_strict=False,
    )
    Index(
        "hooks_on",
        hooks.c.person,
        unique=True,
        sqlite_where=hooks.c.state == "on",
        postgresql_where=hooks.c.state == "on",
    )
    Index("hooks_sqlite", hooks.c.state).ddl_if("sqlite")
    Index("hooks_postgresql", hooks.c.state, postgresql_using="hash").ddl_if("postgresql")
    sqlite = "CREATE TRIGGER plain_noted AFTER INSERT ON plain BEGIN UPDATE marks SET value = 'seen; ok'; END"
    event.listen(plain, "after_create", _ddl(sqlite).execute_if(dialect="sqlite"))
    function = "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
    trigger = "CREATE TRIGGER plain_noted AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION note()"
    event.listen(plain, "after_create", _ddl(function).execute_if(dialect="postgresql"))
    event.listen(plain, "after_create", _ddl(trigger).execute_if(dialect="postgresql"))
    event.listen(marks, "after_create", _ddl("CREATE VIEW seen AS SELECT mark FROM marks"))
    return schema


FILLS = {"people.owner": "coalesce(nick, 'it''s ' || name)"}


@pytest.fixture
def reach(postgres: Server, tmp_path: Path) -> dict[str, Callable[[str], Any]]:
    found: dict[str, Callable[[str], Any]] = TOOL.reaching(tmp_path, postgres)
    return found


@pytest.fixture
def versions(tmp_path: Path, reach: dict[str, Callable[[str], Any]]) -> Path:
    made = tmp_path / "versions"
    made.mkdir()
    assert TOOL.write_migration("first", _reset(reach), made, _first()).name == "r0001_first.py"
    return made


def _reset(reach: dict[str, Callable[[str], Any]]) -> dict[str, Callable[[str], Any]]:
    """A file of SQLite is made anew, as a database of PostgreSQL is."""

    def sqlite(name: str) -> Any:
        made = reach["sqlite"](name)
        Path(made.address).unlink(missing_ok=True)
        return made

    return {**reach, "sqlite": sqlite}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_it_writes_leads_from_the_old_tables_to_the_new(
    kind: str, versions: Path, reach: dict[str, Callable[[str], Any]]
) -> None:
    with closing(reach[kind]("rows")) as database, closing(reach[kind]("want")) as wanted:
        with database.writing() as connection:
            upgrade(connection, [versions])
            for name, age, nick in (("ann", 3, "a"), ("bo", 4, None), ("cy", 5, "c")):
                row = {"name": name, "age": age, "nick": nick}
                connection.execute(text("INSERT INTO people (name, age, nick) VALUES (:name, :age, :nick)"), row)
            connection.execute(text("DELETE FROM people WHERE name = 'cy'"))
            connection.execute(text("INSERT INTO marks VALUES (1, 'good'), (2, 'bad')"))
            connection.execute(text("INSERT INTO plain (value) VALUES ('x')"))
        path = TOOL.write_migration("second", _reset(reach), versions, _second(), fills=FILLS, may_drop=True)
        assert path.name == "r0002_second.py"
        with database.writing() as connection:
            upgrade(connection, [versions])
        with wanted.writing() as connection:
            _second().create_all(connection)
            new = shape_of(connection)
        with database.writing() as connection:
            assert shape_of(connection) == new
            rows = connection.execute(text("SELECT id, name, age, owner FROM people ORDER BY id")).all()
            assert [tuple(row) for row in rows] == [(1, "ann", 3, "a"), (2, "bo", 4, "it's bo")]
            assert connection.execute(text("SELECT mark, value FROM marks ORDER BY mark")).all() == [
                ("bad", "none"),
                ("good", "none"),
            ]
            # A number that was given is not given again, though its row is gone.
            connection.execute(text("INSERT INTO people (name, owner) VALUES ('di', 'd')"))
            assert connection.execute(text("SELECT id, age FROM people WHERE name = 'di'")).one() == (4, 7)
    assert TOOL.write_migration("third", _reset(reach), versions, _second()) is None


def test_it_asks_where_a_person_must_decide(versions: Path, reach: dict[str, Callable[[str], Any]]) -> None:
    def write(**given: Any) -> Any:
        return TOOL.write_migration("second", _reset(reach), versions, _second(), **given)

    with pytest.raises(TOOL.Undecided, match=r"people.owner must not be empty.*--fill people.owner=VALUE"):
        write(may_drop=True)
    with pytest.raises(TOOL.Undecided, match=r"people.nick would be dropped with what is in it. Say --drop"):
        write(fills=FILLS)
    assert not (versions / "r0002_second.py").exists()


def test_what_it_writes_is_the_same_each_time(versions: Path, reach: dict[str, Callable[[str], Any]]) -> None:
    first = (versions / "r0001_first.py").read_text()
    (versions / "r0001_first.py").unlink()
    TOOL.write_migration("first", _reset(reach), versions, _first())
    assert (versions / "r0001_first.py").read_text() == first
