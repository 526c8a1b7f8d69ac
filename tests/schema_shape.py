"""What stands in the catalogue of a database: enough to tell two sets of tables apart, and to bring one to the other.

It is read from the database, not from the code, so it holds what Alembic does not compare: CHECK, WITHOUT ROWID,
AUTOINCREMENT, orders and conditions of indexes, collations, triggers, views, functions.
"""

import re
from dataclasses import dataclass, field

from sqlalchemy import Connection

_STAMP = "alembic_version"


@dataclass
class TableShape:
    """A table. The order of its columns is not part of it: a column that came later stands last."""

    columns: dict[str, str] = field(default_factory=dict)
    constraints: dict[str, str] = field(default_factory=dict)
    options: str = ""
    made: str = field(default="", compare=False)


@dataclass
class Shape:
    """All tables, and the other things by kind and name with the statement that makes each."""

    tables: dict[str, TableShape] = field(default_factory=dict)
    others: dict[tuple[str, str], str] = field(default_factory=dict)
    # Of an index or a trigger, the table it is on.
    on: dict[tuple[str, str], str] = field(default_factory=dict)


def shape_of(connection: Connection) -> Shape:
    """What is in the database, whoever put it there; the mark of the revision is left out."""
    shape = _of_sqlite(connection) if connection.dialect.name == "sqlite" else _of_postgresql(connection)
    shape.others = dict(sorted(shape.others.items()))
    return shape


def unlike(one: Shape, other: Shape) -> list[str]:
    """The names of tables and other things that are not the same in both."""
    tables = [name for name in one.tables | other.tables if one.tables.get(name) != other.tables.get(name)]
    others = [f"{kind} {name}" for kind, name in one.others | other.others]
    changed = [one.others.get(key) != other.others.get(key) for key in one.others | other.others]
    return sorted(tables) + [name for name, differs in zip(others, changed, strict=True) if differs]


def _of_sqlite(connection: Connection) -> Shape:
    shape = Shape()
    shadows = {row.name for row in connection.exec_driver_sql("PRAGMA table_list") if row.type == "shadow"}
    rows = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    for kind, name, table, sql in rows:
        if name.startswith("sqlite_") or name == _STAMP or name in shadows:
            continue
        if kind == "table" and not sql.upper().startswith("CREATE VIRTUAL"):
            shape.tables[name] = _parsed(sql)
        else:
            shape.others[kind, name] = plain(sql)
            shape.on[kind, name] = table
    return shape


def _parsed(sql: str) -> TableShape:
    """A CREATE TABLE in its parts: columns, constraints of the table, what stands behind the bracket."""
    begin = sql.index("(")
    items, rest = _items(sql, begin + 1)
    made = TableShape(options=plain(rest).upper(), made=sql)
    for item in filter(None, map(plain, items)):
        if re.match(r"(CONSTRAINT|PRIMARY KEY|UNIQUE|CHECK|FOREIGN KEY)\b", item, re.IGNORECASE):
            made.constraints[item] = item
        else:
            name = re.match(r'"((?:[^"]|"")*)"|(\w+)', item)
            assert name, item
            made.columns[(name[1] or name[2]).replace('""', '"')] = item
    return made


def _items(sql: str, at: int) -> tuple[list[str], str]:
    """What stands between commas of the outermost bracket that begins before `at`, and what comes after it."""
    items, depth, begin = [], 1, at
    while depth:
        char = sql[at]
        if char in "'\"`":
            at = sql.index(char, at + 1)
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        if (char == "," and depth == 1) or not depth:
            items.append(sql[begin:at])
            begin = at + 1
        at += 1
    return items, sql[at:]


def plain(sql: str) -> str:
    """The statement with single spaces, and none inside brackets' edges; texts in quotes stay as they are."""
    parts = re.split(r"('(?:[^']|'')*')", sql)
    parts[::2] = [re.sub(r"\s*,\s*", ", ", re.sub(r"\s+", " ", part)) for part in parts[::2]]
    return "".join(parts).strip()


_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), coll.collname, a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, array_to_string(c.reloptions, ', ')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation coll ON coll.oid = a.attcollation AND coll.collname <> 'default'
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum"""
_CONSTRAINTS = """
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND k.contype <> 'n'"""
# Each gives kind, name, statement, and the table it is on.
_OTHERS = """
SELECT 'index', i.relname, pg_get_indexdef(x.indexrelid), c.relname FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = x.indexrelid)
UNION ALL
SELECT 'trigger', t.tgname, pg_get_triggerdef(t.oid), c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND NOT t.tgisinternal
UNION ALL
SELECT 'view', v.viewname, 'CREATE VIEW ' || quote_ident(v.viewname) || ' AS ' || v.definition, v.viewname
FROM pg_views v WHERE v.schemaname = current_schema()
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), '' FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = current_schema() AND p.prokind IN ('f', 'p')
AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'extension', e.extname, 'CREATE EXTENSION IF NOT EXISTS ' || quote_ident(e.extname), '' FROM pg_extension e
WHERE e.extname <> 'plpgsql'"""


def _of_postgresql(connection: Connection) -> Shape:
    shape = Shape()
    schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()

    def here(sql: str) -> str:
        return sql.replace(f"{schema}.", "")

    for table, name, kind, collation, needed, default, identity, generated, options in connection.exec_driver_sql(
        _COLUMNS
    ):
        if table == _STAMP:
            continue
        made = shape.tables.setdefault(table, TableShape())
        made.options = options or ""
        parts = [kind, f'COLLATE "{collation}"' if collation else "", "NOT NULL" if needed else ""]
        if generated:
            parts.append(f"GENERATED ALWAYS AS ({here(default)}) STORED")
        elif default is not None:
            parts.append(f"DEFAULT {here(default)}")
        if identity:
            parts.append(f"GENERATED {'ALWAYS' if identity == 'a' else 'BY DEFAULT'} AS IDENTITY")
        made.columns[name] = " ".join(filter(None, parts))
    for table, name, sql in connection.exec_driver_sql(_CONSTRAINTS):
        if table != _STAMP:
            shape.tables[table].constraints[name] = here(sql)
    for kind, name, sql, table in connection.exec_driver_sql(_OTHERS):
        shape.others[kind, name] = here(sql).strip().rstrip(";")
        shape.on[kind, name] = table
    return shape
