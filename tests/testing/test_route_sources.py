from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kept.app.prediction_service import DatabaseRoutes
from kept.deployment.endpoint import RouteRecord
from kept.deployment.records import append_route
from kept.deployment.routing import Route, RoutingTable
from kept.serving.local import FixedRoutes
from kept.settings.settings import Settings
from kept.store.postgres import PostgresDatabase
from kept.store.sqlite import SqliteDatabase
from kept.testing.routes import ChangingRouteSourceKit, RouteSourceKit
from postgres_server import Server


class TestFixedRoutes(RouteSourceKit):
    def open(self, folder: Path, routes: tuple[Route, ...]) -> FixedRoutes:
        return FixedRoutes(RoutingTable(revision=7, routes=routes), {})


class TestDatabaseRoutes(ChangingRouteSourceKit):
    def open(self, folder: Path, routes: tuple[Route, ...]) -> DatabaseRoutes:
        database = SqliteDatabase(folder / "kept.db")
        database.create()
        database.close()
        self.change(folder, routes)
        return DatabaseRoutes(Settings(), folder)

    def change(self, folder: Path, routes: tuple[Route, ...]) -> None:
        database = SqliteDatabase(folder / "kept.db")
        with database.writing() as connection:
            for route in routes:
                append_route(connection, _record(route))
        database.close()

    def hide(self, folder: Path) -> None:
        (folder / "kept.db").rename(folder / "away.db")

    def show(self, folder: Path) -> None:
        (folder / "away.db").rename(folder / "kept.db")


class TestDatabaseRoutesInPostgres(ChangingRouteSourceKit):
    @pytest.fixture(autouse=True)
    def _database(self, postgres: Server) -> Iterator[None]:
        with postgres.fresh() as self.url, closing(PostgresDatabase(self.url)) as self.database:
            yield

    def open(self, folder: Path, routes: tuple[Route, ...]) -> DatabaseRoutes:
        self.change(folder, routes)
        return DatabaseRoutes(Settings(database=self.url), folder)

    def change(self, folder: Path, routes: tuple[Route, ...]) -> None:
        with self.database.writing() as connection:
            for route in routes:
                append_route(connection, _record(route))

    def hide(self, folder: Path) -> None:
        with self.database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE routes RENAME TO away")

    def show(self, folder: Path) -> None:
        with self.database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO routes")


def _record(route: Route) -> RouteRecord:
    return RouteRecord(
        revision=0,
        endpoint=route.endpoint,
        arms=route.arms,
        reason="test",
        rollout_id=None,
        set_by="ada",
        at=datetime.now(UTC),
        event_time=None,
    )
