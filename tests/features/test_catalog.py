from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from kept import Project, at_least
from kept.core.errors import Invalid
from kept.data import catalog as data_catalog
from kept.features import catalog
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace

START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def project() -> Project:
    project = Project("p", question="Late?", owner="ops", objectives=[at_least("roc_auc", 0.6)])

    @project.dataset(label="late", event_time="at")
    def flights() -> pl.DataFrame:
        return pl.DataFrame()

    @project.features(entity="origin", event_time="hour", known_at="published", ttl="2h")
    def weather() -> pl.DataFrame:
        """Hourly weather."""
        return pl.DataFrame(
            {
                "origin": ["JFK", "JFK", "LGA", None],
                "hour": [START, START + HOUR, START, START],
                "published": [START + HOUR, START + 2 * HOUR, START + HOUR, START],
                "temp": [1.0, None, 3.0, 4.0],
            }
        )

    return project


ROWS = pl.DataFrame({"origin": ["LGA", "JFK", "JFK"], "at": [START + 3 * HOUR, START, START + HOUR]})


def test_training_and_senders_see_the_same(workspace: Workspace, me: Actor, project: Project) -> None:
    versions = catalog.ingest_views(workspace, me, project, run_id="run")
    stored = catalog.read_views(workspace, project, {name: one.number for name, one in versions.items()})
    joined = catalog.with_features(project, ROWS, views=stored)
    assert joined["weather_temp"].to_list() == [None, None, 1.0]
    assert joined.equals(catalog.with_features(project, ROWS))
    assert catalog.feature_names(project, joined) == ("weather_temp",)


def test_views_are_datasets_with_versions(workspace: Workspace, me: Actor, project: Project) -> None:
    early = catalog.ingest_views(workspace, me, project, until=START + HOUR)["weather"]
    late = catalog.ingest_views(workspace, me, project)["weather"]
    assert (early.dataset, early.number, early.rows, early.source) == ("features/weather", 1, 2, "Hourly weather.")
    assert (late.number, late.rows, late.rows_quarantined) == (2, 3, 0)
    listed = data_catalog.list_data(workspace, me, data_catalog.ListData(dataset=catalog.dataset_name("weather")))
    assert [one.number for one in listed] == [2, 1]
    assert catalog.read_views(workspace, project, {"weather": 1})["weather"].height == 2


def test_views_need_an_event_time_to_join_by() -> None:
    project = Project("p", question="Late?", owner="ops", objectives=[at_least("roc_auc", 0.6)])

    @project.dataset(label="late")
    def flights() -> pl.DataFrame:
        return pl.DataFrame()

    assert catalog.with_features(project, ROWS).equals(ROWS)

    @project.features(entity="origin", event_time="hour")
    def weather() -> pl.DataFrame:
        return pl.DataFrame()

    with pytest.raises(Invalid, match="joined by the event time, and the dataset has none"):
        catalog.with_features(project, ROWS)
