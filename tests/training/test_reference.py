import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl
import pytest

from kept.core.errors import CheckFailed, NotFound
from kept.data.ingestion import TableSpec, ingest
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.measures.arrays import decode
from kept.measures.drift.cycle import Cycle, season_of
from kept.measures.drift.reference import Reference
from kept.pipelines.context import StepContext
from kept.plan.windows import Windows
from kept.training.facts import Columns, Pinned
from kept.training.reference import reference, season_numbers, window_numbers

BEGIN = datetime(2013, 4, 1, tzinfo=UTC)


def test_rows_of_a_window_are_of_the_season_in_which_it_begins() -> None:
    """The 1st of April 2013 was a Monday."""
    moments = pl.Series([BEGIN + timedelta(hours=7 * step) for step in range(30)], dtype=pl.Datetime("us", "UTC"))
    four = Windows(length=timedelta(hours=4))
    hours = season_numbers(moments, four, "hour of day")
    assert hours.tolist() == [moment.hour // 4 * 4 for moment in moments]
    assert season_numbers(moments, four, "day of week").tolist() == [moment.weekday() for moment in moments]
    windows = window_numbers(moments, four)
    assert all(len(set(hours[windows == number])) == 1 for number in set(windows))


def test_rows_of_a_day_of_the_place_are_of_one_window_and_one_season() -> None:
    moments = pl.datetime_range(BEGIN, BEGIN + timedelta(days=366), "1h", time_zone="UTC", eager=True)
    days = Windows(length=timedelta(days=1), zone="Australia/Sydney")
    local = [moment.astimezone(ZoneInfo(days.zone)) for moment in moments]
    assert season_numbers(moments, days, "day of week").tolist() == [moment.weekday() for moment in local]
    numbers = window_numbers(moments, days)
    assert len(set(numbers.tolist())) == len({moment.date() for moment in local})
    assert [(number, moment.date()) for number, moment in zip(numbers, local, strict=True)] == sorted(
        (number, moment.date()) for number, moment in zip(numbers, local, strict=True)
    )


@pytest.mark.parametrize("zone", ["UTC", "Australia/Sydney", "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("cycle", ["hour of day", "day of week"])
def test_seasons_go_by_the_clock_of_the_place_over_a_whole_year(zone: str, cycle: Cycle) -> None:
    """What training rows are told apart by is what windows of serving are, summer time and all."""
    moments = pl.datetime_range(BEGIN, BEGIN + timedelta(days=366), "1h", time_zone="UTC", eager=True)
    told = season_numbers(moments, Windows(length=timedelta(hours=1), zone=zone), cycle)
    assert told.tolist() == [season_of(cycle, moment, zone) for moment in moments]


def test_the_day_on_which_summer_time_ends_has_an_hour_twice_and_that_on_which_it_begins_one_less() -> None:
    """Sydney's clocks went back on 7 April 2013 at 16:00 UTC of the 6th, and forward on 6 October at 16:00 UTC of the 5th."""
    back = [datetime(2013, 4, 6, 13, tzinfo=UTC) + timedelta(hours=step) for step in range(6)]
    assert [season_of("hour of day", moment, "Australia/Sydney") for moment in back] == [0, 1, 2, 2, 3, 4]
    forward = [datetime(2013, 10, 5, 14, tzinfo=UTC) + timedelta(hours=step) for step in range(4)]
    assert [season_of("hour of day", moment, "Australia/Sydney") for moment in forward] == [0, 1, 3, 4]
    # A Saturday evening of UTC is Sunday there.
    assert [season_of("day of week", back[0], zone) for zone in ("UTC", "Australia/Sydney")] == [5, 6]


HELD = """
    import polars as pl
    import kept

    project = kept.Project("warming", question="Warm?", owner="o", objectives=[kept.at_least("roc_auc", 0.5)])

    @project.dataset(label="y", event_time="at")
    def rows() -> pl.DataFrame:
        return pl.DataFrame()

    @project.features(entity="place", event_time="at")
    def sun() -> pl.DataFrame:
        return pl.DataFrame()

    project.monitor(reference="{reference}")
"""


def warm(month: int, degrees: float) -> pl.DataFrame:
    """Twenty days with fifty rows each."""
    at = [datetime(2013, month, 1 + place // 50, tzinfo=UTC) for place in range(1_000)]
    x = np.random.default_rng(month).normal(degrees, 1.0, 1_000)
    return pl.DataFrame({"at": at, "place": "JFK", "x": x, "y": x > degrees})


def test_inputs_are_held_against_the_version_of_a_dataset_that_is_declared(
    workspace: Workspace, me: Actor, tmp_path: Path
) -> None:
    """April was cool, May is warm: a training on May that declares April is held against April, with the views' features."""
    rows = TableSpec(name="rows", event_time="at", label="y")
    view = TableSpec(name="features/sun", event_time="at", times=("known",))
    hours = {"place": ["JFK"], "at": [BEGIN - timedelta(days=1)], "known": [BEGIN - timedelta(days=1)], "hours": [7.0]}
    ingest(workspace, me, "warming", view, pl.DataFrame(hours))
    numbers = [
        ingest(workspace, me, "warming", rows, warm(month, degrees)).number for month, degrees in ((4, 5), (5, 15))
    ]
    context = StepContext(
        run_id="r",
        project="warming",
        step="reference",
        attempt=1,
        seed=0,
        workspace=workspace,
        actor=me,
        scratch=tmp_path,
        report=lambda _: None,
    )
    columns = Columns(
        features=("x", "sun_hours"), categorical=(), label="y", event_time="at", task="binary", classes=(False, True)
    )
    pinned = Pinned(dataset=numbers[1], fingerprint="", rows=1_000, quarantined=0, views={"sun": 1})
    join = warm(5, 15).with_columns(sun_hours=pl.lit(7.0))
    for place, (declared, middle) in enumerate((("training", 15), (f"rows@{numbers[0]}", 5))):
        source = tmp_path / f"held_project{place}.py"
        source.write_text(textwrap.dedent(HELD.format(reference=declared)))
        made = decode(workspace.blobs.get(reference(context, str(source), join, columns, pinned)), Reference)
        assert made.rows == 1_000
        assert made.windows == 20
        assert made.counts.low[0] < middle < made.counts.high[0]
        assert abs(made.counts.low[0] - middle) < 6
    with pytest.raises(CheckFailed, match="it has no column z"):
        reference(context, str(source), join, msgspec.structs.replace(columns, features=("x", "z")), pinned)
    unknown = tmp_path / "unknown_project.py"
    unknown.write_text(textwrap.dedent(HELD.format(reference="rows@7")))
    with pytest.raises(NotFound, match="there is no version 7"):
        reference(context, str(unknown), join, columns, pinned)
