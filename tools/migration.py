"""Writes the migration from the newest revision to the tables in `kept.store.schema`, for SQLite and PostgreSQL.

    python tools/migration.py add_webhooks [--fill runs.user="''"] [--drop]

Two databases of each kind are made, one by the revisions, one by the schema as it is; what tells their catalogues
apart becomes the statements of the next revision. They are frozen text and need no work by hand. It asks for a word
only where a person must decide: what a new column that must not be empty holds in rows that are there (`--fill`, an
SQL expression over the row, or a `server_default` in the schema), and whether something may be dropped (`--drop`;
a renamed column is a dropped one and a new one, filled from the old one: `--fill runs.owner=user --drop`).
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest
from sqlalchemy import Connection, MetaData, event
from sqlalchemy.engine import Engine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from kept.store.migrations.upgrading import upgrade  # noqa: E402
from kept.store.postgres import PostgresDatabase  # noqa: E402
from kept.store.schema import metadata  # noqa: E402
from kept.store.sqlite import SqliteDatabase  # noqa: E402
from postgres_server import Server, running_server  # noqa: E402
from schema_shape import Shape, TableShape, shape_of  # noqa: E402

VERSIONS = ROOT / "src" / "kept" / "store" / "migrations" / "versions"
_NAME = re.compile(r'^\s*CREATE (?:TABLE|(?:UNIQUE )?INDEX) (?:IF NOT EXISTS )?"?(\w+)"?', re.IGNORECASE)


class Undecided(Exception):
    """A person must say what to do."""


@dataclass
class Change:
    """From what to what, and what a person decided."""

    old: Shape
    new: Shape
    schema: MetaData
    made: dict[str, str]
    """Of a new table or index, the statement that SQLAlchemy made it with."""
    fills: Mapping[str, str]
    may_drop: bool

    def new_columns(self, table: str) -> list[str]:
        """Those that a table gets."""
        return [name for name in self.new.tables[table].columns if name not in self.old.tables[table].columns]

    def check(self) -> None:
        """`Undecided` where something would be lost, or a row would have no value."""
        lost = [name for name in self.old.tables if name not in self.new.tables]
        for name in self.old.tables.keys() & self.new.tables.keys():
            lost += [
                f"{name}.{one}" for one in self.old.tables[name].columns if one not in self.new.tables[name].columns
            ]
            for column in self.new_columns(name):
                text = self.new.tables[name].columns[column].upper()
                if " NOT NULL" in text and " DEFAULT " not in text and f"{name}.{column}" not in self.fills:
                    what = f"{name}.{column} must not be empty, and rows that are there have no value for it."
                    raise Undecided(f"{what} Give it a server_default in the schema, or --fill {name}.{column}=VALUE")
        if lost and not self.may_drop:
            raise Undecided(f"{', '.join(sorted(lost))} would be dropped with what is in it. Say --drop when it may be")

    def others(self, *kinds: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Of these kinds, those that go and those that come; one that changed is in both."""
        gone = [one for one, sql in self.old.others.items() if one[0] in kinds and self.new.others.get(one) != sql]
        come = [one for one, sql in self.new.others.items() if one[0] in kinds and self.old.others.get(one) != sql]
        return gone, come

    def new_tables(self) -> list[str]:
        """In the order in which they can be made."""
        return [table.name for table in self.schema.sorted_tables if table.name not in self.old.tables]


def quoted(name: str) -> str:
    """A name as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def for_sqlite(change: Change) -> list[str]:
    """The statements for SQLite. What ALTER TABLE cannot do is done by a new table that takes the rows over."""
    change.check()
    out: list[str] = []
    changed = [name for name in change.new.tables if name in change.old.tables]
    changed = [name for name in changed if change.new.tables[name] != change.old.tables[name]]
    again = [name for name in changed if not _only_adds(change, name)]
    gone, come = change.others("index", "trigger", "view")
    if again:
        # Views and triggers may name a table while it is away.
        gone += [one for one in change.old.others if one[0] in {"view", "trigger"} and one not in gone]
        come += [one for one in change.new.others if one[0] in {"view", "trigger"} and one not in come]
        come += [
            one for one in change.new.others if one[0] == "index" and change.new.on[one] in again and one not in come
        ]
    out += [f"DROP {kind.upper()} IF EXISTS {quoted(name)}" for kind, name in gone if kind != "table"]
    for kind, name in change.others("table")[0]:
        if not change.may_drop:
            raise Undecided(f"{name} ({kind}) would be dropped. Say --drop when it may be")
        out.append(f"DROP TABLE {quoted(name)}")
    out += [_if_absent(change.made[name]) for name in change.new_tables()]
    for name in changed:
        if name in again:
            out += _made_again(change, name)
        else:
            out += [
                f"ALTER TABLE {quoted(name)} ADD COLUMN {change.new.tables[name].columns[one]}"
                for one in change.new_columns(name)
            ]
    out += [change.new.others[one] for one in change.others("table")[1]]
    out += [f"DROP TABLE {quoted(name)}" for name in change.old.tables if name not in change.new.tables]
    order = {"index": 0, "view": 1, "trigger": 2}
    come.sort(key=lambda one: order[one[0]])
    out += [_if_absent(change.made.get(name, change.new.others[kind, name])) for kind, name in come]
    return out


def _only_adds(change: Change, name: str) -> bool:
    old, new = change.old.tables[name], change.new.tables[name]
    added = change.new_columns(name)
    same = all(new.columns.get(one) == text for one, text in old.columns.items())
    plainly = all(not re.search(r"\b(PRIMARY KEY|UNIQUE|GENERATED|REFERENCES)\b", new.columns[one]) for one in added)
    # A default that is computed cannot be added to rows that are there.
    constant = all("DEFAULT (" not in new.columns[one] and "CURRENT_" not in new.columns[one] for one in added)
    filled = any(f"{name}.{one}" in change.fills for one in added)
    alike = (old.constraints, old.options) == (new.constraints, new.options)
    return same and alike and plainly and constant and not filled


def _made_again(change: Change, name: str) -> Iterator[str]:
    old, new, fills = change.old.tables[name], change.new.tables[name], change.fills
    filled = [one for one in new.columns if one not in old.columns and f"{name}.{one}" in fills]
    kept = [one for one in new.columns if one in old.columns]
    into = ", ".join(map(quoted, [*kept, *filled]))
    values = ", ".join([*map(quoted, kept), *(fills[f"{name}.{one}"] for one in filled)])
    temporary = f"new_{name}"
    yield _named(change.made[name], temporary)
    yield f"INSERT INTO {quoted(temporary)} ({into}) SELECT {values} FROM {quoted(name)}"
    if _numbers(old) and _numbers(new):
        # Numbers that were given once are not given again, also where their rows are gone.
        yield f"DELETE FROM sqlite_sequence WHERE name = '{temporary}'"
        yield f"INSERT INTO sqlite_sequence (name, seq) SELECT '{temporary}', seq FROM sqlite_sequence WHERE name = '{name}'"
    yield f"DROP TABLE {quoted(name)}"
    yield f"ALTER TABLE {quoted(temporary)} RENAME TO {quoted(name)}"


def _numbers(table: TableShape) -> bool:
    return any("AUTOINCREMENT" in text.upper() for text in table.columns.values())


def _named(sql: str, name: str) -> str:
    return f"CREATE TABLE {quoted(name)} {sql[sql.index('(') :]}"


def _if_absent(sql: str) -> str:
    """A database of the first release says no revision, so the first may find its tables there."""
    return re.sub(r"^CREATE (TABLE|UNIQUE INDEX|INDEX) (?!IF)", r"CREATE \1 IF NOT EXISTS ", sql)


def for_postgresql(change: Change) -> list[str]:
    """The statements for PostgreSQL."""
    change.check()
    out: list[str] = []
    for kind, name in change.others("view", "trigger", "index", "function")[0]:
        on = f" ON {quoted(change.old.on[kind, name])}" if kind == "trigger" else ""
        out.append(f"DROP {kind.upper()} IF EXISTS {name if kind == 'function' else quoted(name)}{on}")
    both = [name for name in change.new.tables if name in change.old.tables]
    for name in both:
        old, new = change.old.tables[name], change.new.tables[name]
        out += [
            f"ALTER TABLE {quoted(name)} DROP CONSTRAINT {quoted(one)}"
            for one, sql in old.constraints.items()
            if new.constraints.get(one) != sql
        ]
    come = change.others("extension", "function")[1]
    out += [change.new.others[one] for one in come]
    out += [_if_absent(change.made[name]) for name in change.new_tables()]
    for name in both:
        out += _altered(change, name)
    for name in both:
        old, new = change.old.tables[name], change.new.tables[name]
        out += [
            f"ALTER TABLE {quoted(name)} ADD CONSTRAINT {quoted(one)} {sql}"
            for one, sql in new.constraints.items()
            if old.constraints.get(one) != sql
        ]
    gone = [quoted(name) for name in change.old.tables if name not in change.new.tables]
    out += [f"DROP TABLE {name}" for name in gone]
    for kind in ("index", "view", "trigger"):
        out += [_if_absent(change.made.get(one[1], change.new.others[one])) for one in change.others(kind)[1]]
    return out


def _altered(change: Change, name: str) -> Iterator[str]:
    old, new = change.old.tables[name], change.new.tables[name]
    alter = f"ALTER TABLE {quoted(name)}"
    if old.options and old.options != new.options:
        yield f"{alter} RESET ({', '.join(one.split('=')[0] for one in old.options.split(', '))})"
    if new.options and old.options != new.options:
        yield f"{alter} SET ({new.options})"
    for column, text in new.columns.items():
        fill = change.fills.get(f"{name}.{column}")
        if "nextval(" in text and old.columns.get(column) != text:
            raise Undecided(f"{name}.{column} is numbered by itself in a table that is there. Make a table of its own")
        if column not in old.columns:
            yield from _column_added(name, column, text, fill)
        elif old.columns[column] != text:
            yield from _column_altered(f"{alter} ALTER COLUMN {quoted(column)}", old.columns[column], text, fill)
    for column in sorted(old.columns.keys() - new.columns.keys()):
        yield f"{alter} DROP COLUMN {quoted(column)}"


def _column_added(name: str, column: str, text: str, fill: str | None) -> Iterator[str]:
    alter, here = f"ALTER TABLE {quoted(name)}", quoted(column)
    if fill is None:
        yield f"{alter} ADD COLUMN {here} {text}"
        return
    yield f"{alter} ADD COLUMN {here} {text.replace(' NOT NULL', '', 1)}"
    yield f"UPDATE {quoted(name)} SET {here} = {fill}"
    if " NOT NULL" in text:
        yield f"{alter} ALTER COLUMN {here} SET NOT NULL"


_PARTS = re.compile(r"(?P<kind>.*?)(?P<needed> NOT NULL)?(?: DEFAULT (?P<default>.*))?")


def _column_altered(alter: str, old: str, new: str, fill: str | None) -> Iterator[str]:
    if "GENERATED" in old + new:
        raise Undecided(f"{alter}: a computed column can not be changed. Give it another name")
    before, after = _PARTS.fullmatch(old), _PARTS.fullmatch(new)
    assert before
    assert after
    if before["kind"] != after["kind"]:
        plainly = re.sub(r" COLLATE .*", "", after["kind"])
        using = fill or f"{alter.rsplit(' ', 1)[1]}::{plainly}"
        if before["default"] is not None:
            yield f"{alter} DROP DEFAULT"
        yield f"{alter} TYPE {after['kind']} USING {using}"
    if after["default"] is not None and (after["default"] != before["default"] or before["kind"] != after["kind"]):
        yield f"{alter} SET DEFAULT {after['default']}"
    elif after["default"] is None and before["default"] is not None and before["kind"] == after["kind"]:
        yield f"{alter} DROP DEFAULT"
    if before["needed"] != after["needed"]:
        yield f"{alter} {'SET' if after['needed'] else 'DROP'} NOT NULL"


@contextmanager
def statements_made() -> Iterator[dict[str, str]]:
    """The statements by which tables and indexes are made meanwhile, by name."""
    made: dict[str, str] = {}

    def note(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        del cursor
        if connection.dialect.paramstyle == "pyformat":
            # As it is written where there may be parameters.
            statement = statement.replace("%%", "%")
        if found := _NAME.match(statement):
            lines = (line.rstrip() for line in statement.strip().replace("\t", "    ").splitlines())
            made[found[1]] = "\n".join(lines)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(Engine, "before_cursor_execute", note)


Reach = Callable[[str], SqliteDatabase | PostgresDatabase]
Emit = Callable[[Change], list[str]]


def write_migration(
    name: str,
    reach: dict[str, Reach],
    versions: Path = VERSIONS,
    schema: MetaData = metadata,
    *,
    fills: Mapping[str, str] = MappingProxyType({}),
    may_drop: bool = False,
) -> Path | None:
    """Writes the next revision; None when there is nothing to bring forward.

    `reach` makes an empty database of each kind; the rest is what the options say.
    """
    emits: dict[str, Emit] = {"sqlite": for_sqlite, "postgresql": for_postgresql}
    statements = {
        kind: emit(_change(reach[kind], versions, schema, fills, may_drop=may_drop)) for kind, emit in emits.items()
    }
    if not any(statements.values()):
        return None
    newest = max((path.name[1:5] for path in versions.glob("r[0-9]*.py")), default="0000")
    number = f"{int(newest) + 1:04d}"
    path = versions / f"r{number}_{name}.py"
    path.write_text(_file(name, number, newest, statements), encoding="utf-8")
    return path


def _change(reach: Reach, versions: Path, schema: MetaData, fills: Mapping[str, str], *, may_drop: bool) -> Change:
    with closing(reach("old")) as old, closing(reach("new")) as new:
        with old.writing() as connection:
            if any(versions.glob("r[0-9]*.py")):
                upgrade(connection, [versions])
            before = shape_of(connection)
        with statements_made() as made, new.writing() as connection:
            schema.create_all(connection)
            return Change(before, shape_of(connection), schema, made, fills, may_drop)


def _file(name: str, number: str, before: str, statements: dict[str, list[str]]) -> str:
    title = name.replace("_", " ").capitalize()
    below = None if before == "0000" else before
    lines = [f'"""{title}."""', "", "from kept.store.migrations.statements import execute", ""]
    lines += [f'revision = "{number}"', f"down_revision = {below!r}".replace("'", '"'), ""]
    for kind, texts in statements.items():
        lines += [f"_{kind.upper()} = ["]
        lines += [_literal(text) for text in texts]
        lines += ["]", ""]
    lines += ["", "def upgrade() -> None:", '    """The change of this revision."""']
    lines += ["    execute(sqlite=_SQLITE, postgresql=_POSTGRESQL)", ""]
    return "\n".join(lines)


def _literal(text: str) -> str:
    body = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    indented = "\n".join(line.rstrip() for line in body.splitlines())
    # A text that ends in a quote would end the literal too early.
    end = "\n" if "\n" in indented or indented.endswith('"') else ""
    return f'    """{end}{indented}{end}""",' if end else f'    """{indented}""",'


def reaching(folder: Path, server: Server) -> dict[str, Reach]:
    """Empty databases of both kinds, in a folder and on a server."""

    def sqlite(name: str) -> SqliteDatabase:
        return SqliteDatabase(folder / f"{name}.db")

    def postgresql(name: str) -> PostgresDatabase:
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS migration_{name}".encode())
            admin.execute(f"CREATE DATABASE migration_{name}".encode())
        return PostgresDatabase(server.url(f"migration_{name}"))

    return {"sqlite": sqlite, "postgresql": postgresql}


def main() -> None:
    """Writes it to the source."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", type=_identifier)
    parser.add_argument("--fill", action="append", default=[], metavar="TABLE.COLUMN=SQL")
    parser.add_argument("--drop", action="store_true", help="what the schema has no more may be dropped")
    given = parser.parse_args()
    fills = dict(one.split("=", 1) for one in given.fill)
    try:
        with tempfile.TemporaryDirectory() as folder, running_server() as server:
            path = write_migration(given.name, reaching(Path(folder), server), fills=fills, may_drop=given.drop)
    except (Undecided, pytest.skip.Exception) as error:
        sys.exit(str(error))
    print("The revisions lead to the schema already." if path is None else f"Written: {path.relative_to(ROOT)}")


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
        raise argparse.ArgumentTypeError("a name of a-z, 0-9 and _")
    return text


if __name__ == "__main__":
    main()
