"""Writes the tables of the newest revision, with rows in each, to `tests/store/released`: run it once at a release.

    python tools/released_schema.py

What is written there is frozen: the tests bring each of these databases forward to the tables of today.
"""

import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    insert,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]
from migration import Change, Emit, Reach, for_postgresql, for_sqlite, reaching, statements_made  # noqa: E402

from kept.store.revisions import FIRST, Revisions  # noqa: E402
from kept.store.schema import Json, Moment, metadata  # noqa: E402
from postgres_server import running_server  # noqa: E402
from schema_shape import Shape, shape_of  # noqa: E402

RELEASED = ROOT / "tests" / "store" / "released"
_ROWS = 3
_BEGINNING = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_WORDS: dict[str, list[str]] = {
    "lifecycle": ["active", "deleted", "active"],
    "status": ["finished", "running", "failed"],
    "kind": ["logged", "training", "trial"],
    "stage": ["None", "Staging", "Production"],
    "role": ["input", "output", "input"],
    "mode": ["append", "replace", "append"],
    "outcome": ["done", "refused", "failed"],
}
# The first that fits.
_VALUES: list[tuple[type, list[Any]]] = [
    (Moment, [_BEGINNING + timedelta(days=number) for number in range(_ROWS)]),
    (Json, [{"number": number, "text": "it's ü"} for number in range(_ROWS)]),
    (Boolean, [True, False, False]),
    (SmallInteger, [0] * _ROWS),
    (Float, [0.1, -1.5e-300, 12345.678]),
    (LargeBinary, [bytes([0, 255, number]) for number in range(_ROWS)]),
]


def dump(reach: Reach, emit: Emit, revision: str) -> str:
    """A database with rows in each table, as statements."""
    with closing(reach("released")) as database, statements_made() as made, database.writing() as connection:
        metadata.create_all(connection)
        new = shape_of(connection)
        lines = emit(Change(Shape(), new, metadata, dict(made), {}, may_drop=False))
        for table in metadata.sorted_tables:
            rows = [_row(table, number) for number in range(_ROWS)]
            # Whatever the schema holds rows to, these rows keep it.
            connection.execute(insert(table), rows)
            lines += [_insert(table, row, connection.dialect) for row in rows]
    if revision != FIRST:
        lines.append("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        lines.append(f"INSERT INTO alembic_version (version_num) VALUES ('{revision}')")
    return ";\n".join(lines) + ";\n"


def _row(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _value(column, number) for column in table.columns}


def _value(column: Column[Any], number: int) -> Any:
    if column.nullable and number == 1:
        return None
    for kind, values in _VALUES:
        if isinstance(column.type, kind):
            return values[number]
    if isinstance(column.type, Integer):
        # Keys begin at one; what is counted may need 64 bits.
        return number + 1 if column.primary_key or number < _ROWS - 1 else 2**40
    return _WORDS.get(column.name, [column.name, f"{column.name} it's; 100% ü\n:x", f"{column.name} 3"])[number]


def _insert(table: Table, row: dict[str, Any], dialect: Dialect) -> str:
    values = []
    for column in table.columns:
        bound = column.type.dialect_impl(dialect).bind_processor(dialect)
        value = row[column.name]
        if bound is not None and value is not None and not isinstance(value, bytes):
            value = bound(value)
        values.append(_literal(value, dialect.name))
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({", ".join(values)})'


def _literal(value: Any, database: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower() if database == "postgresql" else str(int(value))
    if isinstance(value, bytes):
        return f"X'{value.hex()}'" if database == "sqlite" else f"'\\x{value.hex()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def main() -> None:
    """Writes both."""
    revision = Revisions().head
    emits: dict[str, Emit] = {"sqlite": for_sqlite, "postgresql": for_postgresql}
    RELEASED.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as folder, running_server() as server:
            for kind, reach in reaching(Path(folder), server).items():
                path = RELEASED / f"{revision}.{kind}.sql"
                if path.exists():
                    sys.exit(f"{path.relative_to(ROOT)} is released: it is not written again")
                path.write_text(dump(reach, emits[kind], revision), encoding="utf-8")
                print(f"Written: {path.relative_to(ROOT)}")
    except pytest.skip.Exception as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
