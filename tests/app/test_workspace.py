"""A folder remembers where its records are, and any number of processes may begin it at once."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest

from kept.app.database import database_of
from kept.app.marker import FORMAT
from kept.app.workspace import migrate_workspace, open_workspace, show_workspace
from kept.core.errors import Conflict, Forbidden, Invalid, Unavailable
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.postgres import same_place
from kept.store.revisions import FIRST, Revisions
from kept.tracking.experiments import create_experiment, search_experiments
from kept.tracking.requests import CreateExperiment, SearchExperiments
from postgres_server import Server

RELEASED = Path(__file__).parents[1] / "store" / "released"


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with postgres.fresh() as made:
        yield made


def names(workspace: Workspace, me: Actor) -> list[str]:
    return [one.name for one in search_experiments(workspace, me, SearchExperiments()).experiments]


def said(root: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(unquote((root / "workspace.json").read_text()))
    return found


def test_the_database_is_named_once(tmp_path: Path, url: str, me: Actor) -> None:
    root = tmp_path / "kept"
    with_password = url.replace("postgres@", "postgres:hush@")
    create_experiment(
        open_workspace(Settings(workspace=str(root), database=with_password)), me, CreateExperiment(name="churn")
    )
    assert said(root) == {"format": FORMAT, "database": url}
    assert "hush" not in (root / "workspace.json").read_text()
    assert names(open_workspace(Settings(workspace=str(root))), me) == ["churn", "Default"]
    assert names(open_workspace(Settings(workspace=str(root), database=with_password)), me) == ["churn", "Default"]
    assert not (root / "kept.db").exists()


@pytest.mark.parametrize("place", ["records.example.org/kept", "localhost/kept?host=records.example.org"])
def test_a_folder_does_not_send_a_password_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    marker = {"format": FORMAT, "database": f"postgresql://ada@{place}"}
    (tmp_path / "workspace.json").write_text(json.dumps(marker))
    monkeypatch.setenv("PGPASSWORD", "hush")
    with pytest.raises(Forbidden, match=r"PGPASSWORD would be sent to .*records\.example\.org"):
        database_of(Settings(workspace=str(tmp_path)), tmp_path)


def test_another_database_than_the_one_it_began_with_is_refused(tmp_path: Path, url: str, postgres: Server) -> None:
    remote, local = str(tmp_path / "remote"), str(tmp_path / "local")
    open_workspace(Settings(workspace=remote, database=url))
    open_workspace(Settings(workspace=local))
    assert said(tmp_path / "local") == {"format": FORMAT, "database": "sqlite"}
    with postgres.fresh() as other, pytest.raises(Conflict, match="its records are at postgresql://.*another database"):
        open_workspace(Settings(workspace=remote, database=other))
    with pytest.raises(Conflict, match=r"its records are in kept\.db, and KEPT_DATABASE names another"):
        open_workspace(Settings(workspace=local, database=url))
    open_workspace(Settings(workspace=remote))
    open_workspace(Settings(workspace=local))


def test_a_name_that_was_mistyped_at_the_beginning_can_be_mended(tmp_path: Path, url: str) -> None:
    root = tmp_path / "kept"
    with pytest.raises(Unavailable, match="KEPT_DATABASE or PGPASSWORD"):
        open_workspace(Settings(workspace=str(root), database=url.replace("/test", "/absent")))
    open_workspace(Settings(workspace=str(root), database=url))
    assert said(root)["database"] == url


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://ada:x@db/kept", "postgresql://kept@db:5432/kept?sslmode=require", True),
        ("postgresql://db/kept", "postgres://db/kept", True),
        ("postgresql://db/kept", "postgresql://db/kept?options=-csearch_path%3Dsecond", False),
        ("postgresql://db/kept", "postgresql://db:5433/kept", False),
        ("postgresql://db/kept", "postgresql://db2/kept", False),
        ("postgresql:///kept?host=/run/a", "postgresql://me@/kept?host=/run/a&port=5432", True),
    ],
)
def test_addresses_of_one_place_are_told_from_others(one: str, other: str, same: bool) -> None:
    assert same_place(one, other) is same


def old_workspace(root: Path, *, records: bool) -> None:
    """As the first release left it."""
    root.mkdir()
    (root / "workspace.json").write_text('{"format":1}')
    (root / ".gitignore").write_text("*\n")
    if records:
        with closing(sqlite3.connect(root / "kept.db")) as connection:
            connection.executescript((RELEASED / f"{FIRST}.sqlite.sql").read_text())


def test_a_workspace_of_the_first_release_comes_forward(tmp_path: Path, me: Actor) -> None:
    root = tmp_path / "kept"
    old_workspace(root, records=True)
    before = show_workspace(Settings(workspace=str(root)))
    assert (before.format, before.revision, before.current) == (1, FIRST, False)
    opened = open_workspace(Settings(workspace=str(root)))
    assert "name 3" in names(opened, me)
    assert said(root) == {"format": FORMAT, "database": "sqlite"}
    after = show_workspace(Settings(workspace=str(root)))
    assert (after.revision, after.needed, after.current) == (Revisions().head, Revisions().head, True)
    assert (root / f"kept.db.revision-{FIRST}").is_file() == (Revisions().head != FIRST)


def test_a_workspace_of_the_first_release_without_records_asks_where_they_are(tmp_path: Path, url: str) -> None:
    root = tmp_path / "kept"
    old_workspace(root, records=False)
    with pytest.raises(Conflict, match="not in the folder, and KEPT_DATABASE is not set. Set it to the address"):
        open_workspace(Settings(workspace=str(root)))
    assert not (root / "kept.db").exists()
    open_workspace(Settings(workspace=str(root), database=url))
    open_workspace(Settings(workspace=str(root)))
    assert said(root) == {"format": FORMAT, "database": url}


def test_a_workspace_of_the_first_release_with_records_takes_no_other_database(tmp_path: Path, url: str) -> None:
    old_workspace(tmp_path / "kept", records=True)
    with pytest.raises(Conflict, match=r"its records are in kept\.db"):
        open_workspace(Settings(workspace=str(tmp_path / "kept"), database=url))


def test_records_of_the_first_release_on_a_server_wait_for_a_person(tmp_path: Path, url: str, me: Actor) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.execute((RELEASED / f"{FIRST}.postgresql.sql").read_bytes())
    root = tmp_path / "kept"
    old_workspace(root, records=False)
    settings = Settings(workspace=str(root), database=url)
    with pytest.raises(Conflict, match="run kept workspace migrate"):
        open_workspace(settings)
    assert said(root) == {"format": 1}
    assert migrate_workspace(settings).current
    assert "name 3" in names(open_workspace(Settings(workspace=str(root))), me)


_OPEN = """
import sys
from pathlib import Path
from kept.app.workspace import open_workspace
from kept.governance.actor import owner
from kept.settings.settings import load_settings
from kept.tracking.experiments import search_experiments
from kept.tracking.requests import SearchExperiments
print("ready", flush=True)
sys.stdin.readline()
workspace = open_workspace(load_settings(Path.cwd(), workspace=sys.argv[1]))
print([one.name for one in search_experiments(workspace, owner("ada", "python"), SearchExperiments()).experiments])
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_begin_a_folder_at_once_get_one_workspace(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = dict(os.environ)
    if kind == "postgresql":
        environment["KEPT_DATABASE"] = request.getfixturevalue("url")
        with psycopg.connect(environment["KEPT_DATABASE"]) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    for turn in range(2):
        root = tmp_path / str(turn) / "kept"
        opened = [
            subprocess.Popen(
                [sys.executable, "-c", _OPEN, str(root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                text=True,
            )
            for _ in range(4)
        ]
        for one in opened:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in opened:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        answers = [one.communicate(timeout=60) for one in opened]
        assert answers == [("['Default']\n", "")] * 4
        assert said(root)["format"] == FORMAT
        assert said(root)["database"]
        assert sorted(root.glob("*.new")) == []


def test_a_folder_of_something_else_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(Invalid, match="holds something else"):
        open_workspace(Settings(workspace=str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_is_begun_where_tables_would_be_lost(tmp_path: Path) -> None:
    root = tmp_path / "tests [2]" / ".kept"
    with pytest.raises(Invalid, match="in its path"):
        open_workspace(Settings(workspace=str(root)))
    assert not root.exists()
