"""Traffic as nobody wants it: answers that are none, requests that come twice. Watching goes on, and tells of it."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from world import NAME, MakeWorld, World

from kept.monitoring.catalog import ShowMonitors, show_monitors
from kept.monitoring.incidents import ListIncidents, list_incidents


class Changed:
    """Tables in which predictions are written otherwise than they were made."""

    def __init__(self, tables: Any, change: Any) -> None:
        self._tables, self._change = tables, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)

    def append(self, name: str, rows: pl.DataFrame) -> int:
        made: int = self._tables.append(name, self._change(rows) if name.startswith("predictions/") else rows)
        return made


def days(world: World, count: int, change: Any) -> None:
    sound = world.workspace
    for _ in range(count):
        tables: Any = Changed(sound.tables, change)
        world.workspace = replace(sound, tables=tables)
        world.day()
        world.workspace = sound
        world.tick()


@pytest.mark.parametrize("score", [math.nan, None, 1.5, -math.inf])
def test_a_model_that_answers_nonsense_is_told_of_and_watching_goes_on(
    make_world: MakeWorld, score: float | None
) -> None:
    world = make_world(lambda project: None)
    world.days(3)
    days(world, 2, lambda rows: rows.with_columns(score=pl.lit(score, pl.Float64)))
    world.days(2)
    (alert,) = world.alerts("quality")
    assert (alert.severity, alert.title) == ("critical", "answers are missing, or no numbers that the task allows")
    assert (alert.evidence["unusable"], alert.evidence["rows"]) == (200, 200)
    status = show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME))
    assert status.watermark is not None
    assert status.traffic_until is not None
    assert status.watermark - status.traffic_until < timedelta(days=1)
    assert status.labelled_until == status.traffic_until - timedelta(days=1)


def test_requests_that_come_again_and_again_are_no_evidence_of_decay(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    world.days(3)
    days(world, 4, lambda rows: pl.concat([rows.with_columns(pl.col("id") + str(time)) for time in range(5)]))
    world.days(1)
    decay = show_monitors(world.workspace, world.me, ShowMonitors(endpoint=NAME)).decay
    assert decay is not None
    assert decay.seen == 6 * world.rows
    assert not world.alerts("decay")


def test_callers_that_send_another_schema_are_told_of_until_they_stop(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    world.days(2)
    for refused in (3, 40, 0, 0):
        frame = world.day()
        rows = frame.head(refused).select("received_at", "version_id", role=pl.lit("champion"), status=pl.lit(422))
        if refused:
            world.workspace.tables.append(f"prediction_errors/{NAME}", rows)
        world.tick()
    world.days(7)
    (alert,) = world.alerts("quality")
    assert alert.title == "requests do not fit the schema, and are refused"
    assert (alert.evidence["refused"], alert.evidence["requests"]) == (40, 240)
    assert not world.alerts("errors")
    (over,) = list_incidents(world.workspace, world.me, ListIncidents(endpoint=NAME, kind="quality"))
    assert over.state == "resolved"
