"""What the engine takes for granted of SQLite is there, whatever SQLite this Python came with."""

import time
from pathlib import Path

from kept.pipelines.engine import _with_subseconds
from kept.store.sqlite import sqlite_engine


def test_the_database_of_the_engine_tells_parts_of_seconds(tmp_path: Path) -> None:
    engine = _with_subseconds(sqlite_engine(tmp_path / "engine.db"))
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE t (n INTEGER, at INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000))"
        )
        before = time.time()
        connection.exec_driver_sql("INSERT INTO t (n) VALUES (1)")
        (found,) = connection.exec_driver_sql("SELECT at FROM t").one()
    engine.dispose()
    assert before - 1 <= found / 1000 <= time.time() + 1
