import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert, select

from kept.core.errors import Invalid, Unavailable
from kept.store.database import Database
from kept.store.postgres import PostgresDatabase
from kept.store.schema import artifacts, experiment_tags, runs
from postgres_server import Server


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with postgres.fresh() as made:
        yield made


def _tag(database: Database, name: str, value: str = "x") -> None:
    with database.writing() as connection:
        connection.execute(insert(experiment_tags).values(experiment=1, name=name, value=value))


def _names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(experiment_tags.c.name).order_by(experiment_tags.c.name)).scalars())


@pytest.mark.each_database
def test_names_sort_by_code_point(database: Database) -> None:
    for name in ("b", "B", "a", "é", "Z", "_", "a b", "ab"):
        _tag(database, name)
    assert _names(database) == sorted(["b", "B", "a", "é", "Z", "_", "a b", "ab"])


@pytest.mark.each_database
def test_a_nul_is_refused_and_the_rest_goes_on(database: Database) -> None:
    with pytest.raises(Invalid, match="NUL.*Leave it out"):
        _tag(database, "a\0b")
    with pytest.raises(Invalid, match="NUL"):
        database.grouped(
            lambda connection: connection.execute(insert(experiment_tags).values(experiment=1, name="a", value="\0"))
        )
    _tag(database, "ab")
    assert _names(database) == ["ab"]


@pytest.mark.each_database
def test_no_text_is_cut_or_refused_for_its_length(database: Database) -> None:
    _tag(database, "n" * 2_000, "v" * 100_000)
    assert _names(database) == ["n" * 2_000]


@pytest.mark.each_database
def test_like_tells_upper_from_lower_case(database: Database) -> None:
    _tag(database, "Depth")
    with database.reading() as connection:
        name = experiment_tags.c.name
        assert connection.execute(select(name).where(name.like("depth"))).all() == []
        assert connection.execute(select(name).where(name.ilike("depth"))).scalar() == "Depth"


def test_what_no_index_can_hold_is_a_mistake_of_the_sender(url: str) -> None:
    noise = os.urandom(20_000).hex()
    row = {"path": noise, "size": 1, "digest": "", "at": datetime.now(UTC)}
    with (
        closing(PostgresDatabase(url)) as database,
        pytest.raises(Invalid, match="cannot hold it"),
        database.writing() as connection,
    ):
        connection.execute(insert(artifacts).values(**row))


def test_a_writer_that_waits_sees_what_the_other_wrote(url: str) -> None:
    with closing(PostgresDatabase(url)) as one, closing(PostgresDatabase(url)) as other:
        seen: list[list[str]] = []

        def count() -> None:
            with other.writing() as connection:
                seen.append(list(connection.execute(select(experiment_tags.c.name)).scalars()))

        waiting = threading.Thread(target=count)
        with one.writing() as connection:
            waiting.start()
            time.sleep(0.2)
            assert seen == []
            connection.execute(insert(experiment_tags).values(experiment=1, name="a", value="x"))
        waiting.join(60)
        assert seen == [["a"]]


def test_two_schemas_do_not_wait_for_each_other(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA second")
    with (
        closing(PostgresDatabase(url)) as one,
        closing(PostgresDatabase(f"{url}&options=-csearch_path%3Dsecond")) as other,
    ):
        with one.writing():
            other.create()
            _tag(other, "a")
        assert (_names(one), _names(other)) == ([], ["a"])


def test_connections_that_the_server_ended_are_made_anew(url: str) -> None:
    with closing(PostgresDatabase(url)) as database:
        _tag(database, "a")
        with psycopg.connect(url, autocommit=True) as admin:
            others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
            admin.execute(f"{others} AND pid <> pg_backend_pid()".encode())
        assert _names(database) == ["a"]
        _tag(database, "b")
        assert _names(database) == ["a", "b"]


def test_a_connection_lost_in_the_middle_is_unavailable_and_leaves_nothing(url: str) -> None:
    with closing(PostgresDatabase(url)) as database:
        with pytest.raises(Unavailable, match="cannot be used"), database.writing() as connection:
            connection.execute(insert(experiment_tags).values(experiment=1, name="a", value="x"))
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(f"SELECT pg_terminate_backend({pid}, 5000)".encode())
            connection.execute(insert(experiment_tags).values(experiment=1, name="b", value="x"))
        assert _names(database) == []


def test_a_server_that_is_away_is_unavailable_after_its_patience(tmp_path: Path) -> None:
    with closing(PostgresDatabase(f"postgresql://me:hush@/kept?host={tmp_path}", patience=0.3)) as database:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="Check that the server runs") as caught, database.reading():
            pass
        assert time.monotonic() - begun >= 0.3
        assert "hush" not in str(caught.value)


def test_a_database_that_is_not_there_is_not_waited_for(url: str) -> None:
    begun = time.monotonic()
    with closing(PostgresDatabase(url.replace("/test", "/absent"), patience=600)) as database:
        with pytest.raises(Unavailable, match="Check user, password and name"), database.writing():
            pass
        assert time.monotonic() - begun < 300


def test_a_database_without_tables_says_so(url: str) -> None:
    nowhere = f"{url}&options=-csearch_path%3Dnowhere"
    with closing(PostgresDatabase(nowhere)) as database, pytest.raises(Unavailable, match="tables of Kept are not"):
        _names(database)


@pytest.mark.parametrize("address", ["mysql://root:hush@localhost/kept", "hush"])
def test_only_postgresql_is_taken_and_no_password_is_shown(address: str) -> None:
    with pytest.raises(Invalid, match="postgresql://") as caught:
        PostgresDatabase(address)
    assert "hush" not in str(caught.value)


def test_the_newest_runs_are_found_by_an_index(url: str) -> None:
    with closing(PostgresDatabase(url)) as database, database.reading() as connection:
        newest = select(runs.c.id).where(runs.c.experiment == 1, runs.c.lifecycle == "active")
        newest = newest.order_by(runs.c.started_at.desc().nulls_last(), runs.c.id).limit(10)
        connection.exec_driver_sql("SET LOCAL enable_sort = off")
        text = str(newest.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = connection.exec_driver_sql(f"EXPLAIN {text}").scalars().all()
    assert "runs_begun_first" in " ".join(plan)
    assert "Sort" not in " ".join(plan)
