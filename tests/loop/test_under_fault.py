"""Killed at any write, the loop goes on and does nothing twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from world import MakeWorld, World

from kept.governance.journal import VerifyAudit, verify_audit
from kept.loop.cycle import tick
from kept.plan.policy import drift
from kept.store.database import Database
from kept.store.grouping import Answer, Closing, Work


class Killed(Exception):
    """The process ended here."""


class Dying:
    """A database whose user is killed at its n-th write: before the commit, or right after it."""

    def __init__(self, database: Database, writes: int, *, after: bool) -> None:
        self._database, self._left, self._after = database, writes, after

    def reading(self) -> Any:
        return self._database.reading()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        self._left -= 1
        with self._database.writing() as connection:
            yield connection
            if self._left == 0 and not self._after:
                raise Killed
        if self._left == 0:
            raise Killed

    def grouped(self, work: Work[Answer], closing: Closing | None = None, note: Any = None) -> Answer:
        return self._database.grouped(work, closing, note)


def facts(world: World) -> Any:
    """All that was decided, told and found, without ids and times of the clock."""
    query = "SELECT start, monitor, metric, slice, value, rows, holds FROM window_results ORDER BY 1, 2, 3, 4, 6"
    with world.workspace.database.reading() as connection:
        results = [tuple(row) for row in connection.exec_driver_sql(query)]
        shares = [row[0] for row in connection.exec_driver_sql("SELECT count(*) FROM routes GROUP BY endpoint")]
        runs = connection.exec_driver_sql("SELECT count(*) FROM runs").scalar()
    decisions = [(one.kind, one.trigger, one.reason, one.event_time) for one in world.decisions()]
    alerts = [(one.kind, one.title, one.event_time) for one in world.alerts("drift")]
    return decisions, alerts, shares, runs, results


def live(world: World, writes: int | None, *, after: bool) -> int:
    """A life with a drift, a training and a rollout; each tick is killed at that write until it gets through."""
    killed = 0

    def look() -> None:
        nonlocal killed
        if writes is not None:
            dying = replace(world.workspace, database=Dying(world.workspace.database, writes, after=after))
            try:
                tick(dying, world.kept)
            except Killed:
                killed += 1
        world.tick()

    for day in range(7):
        world.shift = 1.0 if day >= 2 else 0.0
        world.day()
        look()
        if day == 4:
            world.train()
            look()
    return killed


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", [1, 2, 3, 4])
def test_killed_at_any_write(make_world: MakeWorld, undisturbed: dict[str, Any], writes: int, *, after: bool) -> None:
    world = make_world(lambda project: project.retrain(on=[drift()], cooldown="1d"))
    assert live(world, writes, after=after) > 0
    decisions, alerts, shares, runs, results = facts(world)
    assert [one[0] for one in decisions] == ["retrain", "release", "promote"]
    assert len(alerts) == 1
    assert (shares, runs) == ([3], 1)
    assert len({one[:4] for one in results}) >= 100
    same = undisturbed.setdefault("facts", (decisions, alerts, [one[:4] for one in results]))
    assert same == (decisions, alerts, [one[:4] for one in results])
    verify_audit(world.workspace, world.me, VerifyAudit())
