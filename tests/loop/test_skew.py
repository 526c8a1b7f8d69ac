"""Skew of the champion: what it is asked against what it was trained on, and against the store."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from world import APRIL, DAY, NAME, MakeWorld, World

from kept.core.errors import NotFound
from kept.features.catalog import ingest_views
from kept.loop.decisions import RetrainNow, retrain
from kept.measures.arrays import encode
from kept.measures.clusters import ClusteredCounts
from kept.monitoring.alert import Alert
from kept.monitoring.alerts import ListAlerts, list_alerts
from kept.monitoring.catalog import ShowWindows, show_windows
from kept.monitoring.gauges import Gauges
from kept.monitoring.incidents import ListIncidents, list_incidents
from kept.monitoring.records import save_state
from kept.monitoring.result import MonitorState, WindowResult
from kept.monitoring.skew import ShowSkew, show_skew
from kept.monitoring.skew_watch import SkewState
from kept.plan.catalog import ensure_registered
from kept.plan.project import Project


def declare_weather(project: Project) -> None:
    @project.features(entity="origin", event_time="at")
    def weather() -> pl.DataFrame:
        return pl.DataFrame({"origin": ["EWR", "JFK"], "at": [APRIL - DAY] * 2, "wind": [1.0, 2.0]})


def test_serving_is_held_against_training_and_against_the_store(make_world: MakeWorld) -> None:
    projects: list[Project] = []

    def declare(project: Project) -> None:
        declare_weather(project)
        projects.append(project)

    world = make_world(declare)
    ingest_views(world.workspace, world.me, projects[0])
    frame = world.day()
    served = frame.with_columns(feature_weather_wind=pl.lit(2.0), id=pl.col("id") + "w")
    world.workspace.tables.append(f"predictions/{NAME}", served)
    found = show_skew(world.workspace, world.me, ShowSkew(endpoint=NAME))
    assert found.differs is False
    assert found.rows == 2 * frame.height
    (wind,) = found.values
    assert wind.feature == "weather_wind"
    assert 0 < wind.equal <= wind.rows
    assert wind.rows == wind.equal + wind.different + wind.missing_at_serving + wind.missing_in_store


def skew_alerts(world: World) -> list[Alert]:
    return [one for one in list_alerts(world.workspace, world.me, ListAlerts(endpoint=NAME)) if one.kind == "skew"]


def windows(world: World, metric: str) -> list[WindowResult]:
    request = ShowWindows(endpoint=NAME, monitor="skew", metric=metric)
    return show_windows(world.workspace, world.me, request)


def test_each_release_is_held_against_its_training_rows_once(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    world.rows = 150
    world.days(4)
    assert windows(world, "release") == []
    world.days(2)
    (calm,) = windows(world, "release")
    assert (calm.start, calm.rows, calm.holds) == (APRIL, 600, True)
    assert skew_alerts(world) == []
    # The next version has learnt from rows that are unlike what it is asked.
    world.shift = 1.0
    world.reference = world.workspace.blobs.put(encode(world._reference(0.0)))
    second = world.register()
    world.release(second)
    world.days(12)
    assert [one.version_id for one in windows(world, "release")] == [calm.version_id, second.id]
    (alert,) = skew_alerts(world)
    assert (alert.title, alert.version_id) == ("what is asked in serving differs from the training rows", second.id)
    assert "differ from the training rows" in alert.evidence["causes"][0]
    assert [one["name"] for one in alert.evidence["columns"]] == ["x"]
    world.shift = 0.0
    world.release(world.register())
    world.days(9)
    (over,) = list_incidents(world.workspace, world.me, ListIncidents(endpoint=NAME, kind="skew"))
    assert over.state == "resolved"


def test_served_values_are_held_against_the_store_once_it_knows_them(make_world: MakeWorld) -> None:
    projects: list[Project] = []

    def declare(project: Project) -> None:
        declare_weather(project)
        project.monitor(max_skew=0.02)
        projects.append(project)

    world = make_world(declare)
    served = {"EWR": 1.0, "JFK": 2.0}

    def send(count: int, wrong: float) -> None:
        """Days of traffic that carries the wind, a share of it wrong."""
        plain = world.workspace
        for _ in range(count):
            world.workspace = replace(plain, tables=WithWind(plain.tables, served, wrong))  # type: ignore[arg-type]
            world.day()
            world.workspace = plain
            world.tick()

    send(3, 0.0)
    assert windows(world, "served_otherwise") == []
    ingest_views(world.workspace, world.me, projects[0])
    send(2, 0.01)
    shown = windows(world, "served_otherwise")
    assert [one.start for one in shown] == [APRIL + place * DAY for place in range(4)]
    assert {one.slice for one in shown} == {"weather_wind"}
    assert all(one.holds and one.rows == 200 for one in shown)
    send(3, 0.2)
    (alert,) = skew_alerts(world)
    assert alert.title == "weather_wind is served otherwise than it is stored"
    assert alert.evidence["column"] == "weather_wind"
    assert alert.evidence["declared"] == "at most 2.000% of values"
    assert alert.evidence["otherwise"] > 0.02 * alert.evidence["sampled"]
    exported = {one.name: one.samples for one in Gauges(world.workspace, world.me).collect()}
    (share,), (holds,) = exported["kept_skew_share"], exported["kept_skew_holds"]
    assert (share.labels, share.value, holds.value) == ({"endpoint": NAME, "feature": "weather_wind"}, 0.2, 0.0)
    send(9, 0.0)
    (over,) = list_incidents(world.workspace, world.me, ListIncidents(endpoint=NAME, kind="skew"))
    assert (over.state, over.resolution) == ("resolved", "the condition has gone")
    send(2, 0.2)
    assert len(skew_alerts(world)) == 2


def test_a_long_quiet_time_does_not_make_it_slow(make_world: MakeWorld) -> None:
    projects: list[Project] = []

    def declare(project: Project) -> None:
        declare_weather(project)
        projects.append(project)

    world = make_world(declare)
    ingest_views(world.workspace, world.me, projects[0])
    with world.workspace.database.writing() as connection:
        quiet = SkewState(sampled={"weather_wind": ClusteredCounts(trials=1_000_000)})
        state = MonitorState(
            endpoint=NAME,
            monitor="skew",
            version_id="",
            watermark=None,
            state=msgspec.json.encode(quiet),
            updated_at=world.workspace.clock.now(),
        )
        save_state(connection, state)
    plain = world.workspace
    for _ in range(4):
        world.workspace = replace(plain, tables=WithWind(plain.tables, {"EWR": 1.0, "JFK": 2.0}, 0.05))  # type: ignore[arg-type]
        world.day()
        world.workspace = plain
        world.tick()
    assert [one.title for one in skew_alerts(world)] == ["weather_wind is served otherwise than it is stored"]


def test_a_view_that_no_training_has_stored_yet_holds_nothing_up(make_world: MakeWorld) -> None:
    """A project gains a view: until a training has asked it, only the others are compared."""
    projects: list[Project] = []

    def declare(project: Project) -> None:
        declare_weather(project)
        projects.append(project)

    world = make_world(declare)
    ingest_views(world.workspace, world.me, projects[0])
    retrain(world.workspace, world.me, RetrainNow(project=NAME, reason="the first view"))
    world.train(auc=0.5)

    @projects[0].features(entity="origin", event_time="at")
    def traffic() -> pl.DataFrame:
        return pl.DataFrame()

    ensure_registered(world.workspace, world.me, projects[0], Path("project.py"))
    served, plain = {"EWR": 1.0, "JFK": 2.0}, world.workspace
    for _ in range(3):
        world.workspace = replace(plain, tables=WithWind(plain.tables, served, 0.0))  # type: ignore[arg-type]
        world.day()
        world.workspace = plain
        world.tick()
    assert {one.slice for one in windows(world, "served_otherwise")} == {"weather_wind"}
    told = show_skew(world.workspace, world.me, ShowSkew(endpoint=NAME))
    assert "feature view traffic: no training has stored it yet" in told.notes


class WithWind:
    """Tables in which requests carry the wind at their origin, a share of it wrong; LGA has none."""

    def __init__(self, tables: Any, served: dict[str, float], wrong: float) -> None:
        self._tables, self._served, self._wrong = tables, served, wrong

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)

    def append(self, name: str, rows: pl.DataFrame) -> int:
        if name.startswith("predictions/"):
            wind = [self._served.get(one) for one in rows["feature_origin"]]
            step = round(1 / self._wrong) if self._wrong else rows.height + 1
            wind = [9.0 if place % step == step - 1 else one for place, one in enumerate(wind)]
            rows = rows.with_columns(feature_weather_wind=pl.Series(wind, dtype=pl.Float64))
        made: int = self._tables.append(name, rows)
        return made


def test_traffic_unlike_training_is_seen_at_the_first_look(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    assert "answered nothing" in show_skew(world.workspace, world.me, ShowSkew(endpoint=NAME)).notes[0]
    world.shift = 0.6
    world.day()
    found = show_skew(world.workspace, world.me, ShowSkew(endpoint=NAME))
    assert found.differs is True
    assert found.columns[0].name == "x"
    assert found.notes == (
        "its first monitoring window has not ended: the hours of a day may differ by themselves",
        "the first 200 rows of serving differ from the training rows (a mistake in at most 1% of cases): most in x",
        "the project has no feature views: values are not recomputed",
    )
    with pytest.raises(NotFound):
        show_skew(world.workspace, world.me, ShowSkew(endpoint="other"))


def test_skew_that_cannot_be_looked_for_holds_no_rollout_up(make_world: MakeWorld) -> None:
    world = make_world(lambda _: None)
    world.days(1)
    world.release(world.register())
    unreadable = MonitorState(
        endpoint="flights",
        monitor="skew",
        version_id="",
        watermark=None,
        state=b"unreadable",
        updated_at=world.workspace.clock.now(),
    )
    with world.workspace.database.writing() as connection:
        save_state(connection, unreadable)
    for _ in range(3):
        world.day()
        with pytest.raises(msgspec.DecodeError):
            world.tick()
    rollout = world.status().rollout
    assert rollout is not None
    assert rollout.state == "promoted"


def test_a_window_that_has_not_ended_is_left_out_where_one_has(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    world.day()
    world.shift = 2.0
    world.day()
    found = show_skew(world.workspace, world.me, ShowSkew(endpoint=NAME))
    assert (found.rows, found.differs) == (200, False)
    world.day()
    found = show_skew(world.workspace, world.me, ShowSkew(endpoint=NAME))
    assert (found.rows, found.differs) == (400, True)
