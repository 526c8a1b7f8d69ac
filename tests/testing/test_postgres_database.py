from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from kept.store.postgres import PostgresDatabase
from kept.testing.database import DatabaseKit
from postgres_server import Server


class TestPostgresDatabase(DatabaseKit):
    @contextmanager
    def open(self, folder: Path) -> Iterator[PostgresDatabase]:
        with closing(PostgresDatabase((folder / "url").read_text())) as database:
            yield database

    @pytest.fixture
    def folder(self, tmp_path: Path, postgres: Server) -> Iterator[Path]:
        with postgres.fresh() as url:
            (tmp_path / "url").write_text(url)
            yield tmp_path
