"""Searches read in proportion to what there is, whatever the database has learnt of it."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql

from kept.core.clock import SystemClock
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.postgres import PostgresDatabase
from kept.store.schema import experiments, metrics, run_tags, runs
from kept.tracking.experiment import Lifecycle
from kept.tracking.finding import search_runs
from kept.tracking.grammar import run_orders, run_terms
from kept.tracking.records.searching import search_run_rows
from kept.tracking.requests import SearchRuns
from postgres_server import Server

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_RUNS = 1_000


@pytest.fixture
def grown(postgres: Server) -> Any:
    """A database that knows one experiment well, and has just got another of a thousand runs; and its address."""
    with postgres.fresh() as url, closing(PostgresDatabase(url)) as database:
        _fill(database, 1)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")
        _fill(database, 2)
        yield database, url


@pytest.mark.parametrize(
    ("filter_", "order"),
    [
        ("metrics.loss < 500", "metrics.loss ASC"),
        ("", "metrics.loss DESC"),
        ("metrics.loss < 500 AND metrics.accuracy > 10", "metrics.loss ASC"),
        ("tags.team = 'red' AND metrics.loss < 500", "start_time DESC"),
        ("tags.team = 'red'", "metrics.loss ASC"),
        ("tags.team IS NULL AND attributes.status = 'finished'", "start_time DESC"),
    ],
)
def test_an_experiment_that_the_database_has_not_learnt_of_is_read_once(grown: Any, filter_: str, order: str) -> None:
    _, url = grown
    told = _Told(url)

    search_run_rows(
        told, [2], run_terms(filter_), run_orders([order]), [Lifecycle.ACTIVE], offset=0, limit=100  # type: ignore[arg-type]
    )  # fmt: skip

    assert told.plans
    assert max(_rows_read(plan) for plan in told.plans) <= 5 * _RUNS


def test_what_is_found_is_the_same(grown: Any, me: Actor, tmp_path: Any) -> None:
    database, _ = grown
    workspace = Workspace(
        root=tmp_path, database=database, blobs=None, tables=None, clock=SystemClock(), settings=Settings()  # type: ignore[arg-type]
    )  # fmt: skip
    request = SearchRuns(
        experiments=["2"], filter="metrics.loss < 500 AND tags.team = 'red'", order_by=["metrics.loss DESC"], limit=3
    )

    found = search_runs(workspace, me, request)

    assert [one.run.name for one in found.runs] == ["run-496", "run-492", "run-488"]


class _Told:
    """A connection that has the database explain what it does with each query."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.plans: list[dict[str, Any]] = []

    def execute(self, query: Any) -> "_Told":
        """Explains the query and finds nothing."""
        text = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]
        with psycopg.connect(self._url) as connection:
            connection.execute("SET jit = off")
            row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}".encode()).fetchone()
        assert row is not None
        found = row[0] if isinstance(row[0], list) else json.loads(row[0])
        self.plans.append(found[0]["Plan"])
        return self

    def mappings(self) -> "_Told":
        return self

    def all(self) -> list[Any]:
        return []

    def scalar_one(self) -> int:
        return 0


def _rows_read(plan: dict[str, Any]) -> float:
    """Rows that pass through the plan, those that are thrown away too."""
    thrown = sum(value for name, value in plan.items() if name.startswith("Rows Removed"))
    here = plan["Actual Loops"] * (plan["Actual Rows"] + thrown)
    return float(here + sum(_rows_read(inner) for inner in plan.get("Plans", [])))


def _fill(database: PostgresDatabase, experiment: int) -> None:
    numbers = range(_RUNS)
    first = experiment * 1_000_000
    made = {
        "experiment": experiment, "project": "", "kind": "logged", "parent": None, "status": "finished", "reason": "",
        "request": {}, "code": None, "environment": None, "seed": 0, "error": None, "created_by": "ada", "user": "",
        "artifact_location": "", "lifecycle": "active", "created_at": _BEGAN, "ended_at": None, "deleted_at": None,
    }  # fmt: skip
    with database.writing() as connection:
        connection.execute(
            insert(experiments).values(
                id=experiment, name=f"experiment {experiment}", artifact_location="", lifecycle="active",
                created_at=_BEGAN, updated_at=_BEGAN,
            )
        )  # fmt: skip
        connection.execute(
            insert(runs),
            [
                {**made, "number": first + one, "id": f"{experiment}-{one}", "name": f"run-{one}",
                 "started_at": _BEGAN + timedelta(seconds=one)}
                for one in numbers
            ],
        )  # fmt: skip
        connection.execute(
            insert(metrics),
            [
                {"experiment": experiment, "name": name, "run": first + one, "nan": 0, "value": float(one), "step": 0,
                 "at": 1}
                for one in numbers
                for name in ("loss", "accuracy")
            ],
        )  # fmt: skip
        connection.execute(
            insert(run_tags),
            [
                {
                    "experiment": experiment,
                    "name": "team",
                    "run": first + one,
                    "value": "red" if one % 4 == 0 else "blue",
                }
                for one in numbers
            ],
        )
