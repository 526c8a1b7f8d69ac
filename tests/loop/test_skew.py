"""Skew of the champion: what it is asked against what it was trained on, and against the store."""

import polars as pl
import pytest

from kept.core.errors import NotFound
from kept.features.catalog import ingest_views
from kept.monitoring.skew import ShowSkew, show_skew
from kept.plan.project import Project

from conftest import APRIL, DAY, NAME, MakeWorld  # isort: skip


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


def test_traffic_unlike_training_is_seen_at_the_first_look(make_world: MakeWorld) -> None:
    world = make_world(lambda project: None)
    assert "answered nothing" in show_skew(world.workspace, world.me, ShowSkew(endpoint=NAME)).notes[0]
    world.shift = 0.6
    world.day()
    found = show_skew(world.workspace, world.me, ShowSkew(endpoint=NAME))
    assert found.differs is True
    assert found.columns[0].name == "x"
    assert found.notes == (
        "the first 200 rows of serving differ from the training rows (a mistake in at most 5% of cases): most in x",
        "the project has no feature views: values are not recomputed",
    )
    with pytest.raises(NotFound):
        show_skew(world.workspace, world.me, ShowSkew(endpoint="other"))
