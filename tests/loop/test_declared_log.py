"""What is declared of the prediction log keeps what is said of the traffic right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from world import NAME, MakeWorld

from kept.deployment.statistics import ArmStatistics
from kept.governance.workspace import Workspace
from kept.measures.drift.reference import Reference, build_reference
from kept.monitoring import drift
from kept.monitoring.quality import check_columns
from kept.monitoring.stream import Stream, asked
from kept.settings.settings import Settings
from kept.store.tables import DeltaTables

SHARE = 0.25


class Sampled(DeltaTables):
    """Predictions arrive as a log holds them that takes a quarter of the requests; failures all do."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.random = np.random.default_rng(5)

    def append(self, name: str, frame: pl.DataFrame, *, once: tuple[str, int] | None = None) -> int:
        if name.startswith("predictions/"):
            frame = frame.filter(self.random.random(frame.height) < SHARE).with_columns(share=pl.lit(SHARE))
        return super().append(name, frame, once=once)


def table(rows: int, shift: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(3)
    x = random.normal(0, 1, rows)
    return pl.DataFrame(
        {"x": x + shift, "y": x * 0.5 + random.normal(0, 1, rows), "origin": ["JFK", "LGA"] * (rows // 2)}
    )


def reference() -> Reference:
    frame = table(6000)
    columns = {
        "x": frame["x"].to_numpy(),
        "y": frame["y"].to_numpy(),
        "origin": np.array(frame["origin"], dtype=object),
    }
    kinds = {"x": "numeric", "y": "numeric", "origin": "categorical"}
    return build_reference(columns, kinds, np.arange(6000) // 200)  # type: ignore[arg-type]


def alarms(held: Reference, frame: pl.DataFrame) -> bool:
    state = drift.begin(held, 90)
    found = []
    for _ in range(8):
        state, finding = drift.judge(state, held, drift.count(held, frame))
        found.append(finding.alarm)
    return any(found)


@pytest.mark.parametrize("hidden", ["x", "origin"])
def test_what_the_log_leaves_out_raises_no_alarm_and_the_rest_does(hidden: str) -> None:
    told = reference()
    held = drift.without(told, {hidden})
    logged = table(200).drop(hidden)
    assert alarms(told, logged)
    assert not alarms(held, logged)
    assert alarms(held, logged.with_columns(y=pl.col("y") + 2))
    assert [one.column for one in check_columns(logged, drift.expectations(held))] == [hidden]
    assert not check_columns(logged, drift.expectations(held, {hidden}))
    assert drift.without(told, {"other"}) is told


def test_a_hash_raises_no_alarm() -> None:
    held = drift.without(reference(), {"x", "origin"})
    logged = table(200).with_columns(x=pl.lit("6f2d"), origin=pl.lit("00ab"))
    assert not alarms(held, logged)


def test_rows_are_those_that_were_asked(make_world: MakeWorld, workspace: Workspace) -> None:
    world = make_world(lambda _: None)
    world.workspace = replace(workspace, tables=Sampled(workspace.root / "tables"), settings=Settings(log_share=SHARE))
    world.rows = 2000
    world.days(3)
    logged = Stream(world.workspace, NAME).rows()
    assert logged is not None
    assert abs(asked(logged.collect()) - 6000) < 6000 * 5 * np.sqrt((1 - SHARE) / SHARE / 6000)
    query = "SELECT value, rows FROM window_results WHERE metric = 'rows'"
    with workspace.database.reading() as connection:
        results = connection.exec_driver_sql(query).all()
    assert results
    assert all(abs(value - 2000) < 400 for value, _ in results)
    assert all(rows < 700 for _, rows in results)


def test_nothing_was_told_of_old_rows(workspace: Workspace) -> None:
    workspace.tables.append("predictions/late", pl.DataFrame({"id": ["a", "b"], "role": ["champion", "champion"]}))
    stream = Stream(workspace, "late").rows()
    assert stream is not None
    assert asked(stream.collect()) == 2
    workspace.tables.append("predictions/late", pl.DataFrame({"id": ["c"], "role": ["champion"], "share": [0.1]}))
    later = Stream(workspace, "late").rows()
    assert later is not None
    assert asked(later.collect()) == 12
    assert asked(pl.DataFrame()) == 0


def test_slow_answers_are_a_share_of_those_that_were_timed() -> None:
    assert ArmStatistics(rows=1000, timed=100, slow=5).slow_rate == 0.05
    assert ArmStatistics(rows=1000, slow=5).slow_rate == 0.005
    assert ArmStatistics().slow_rate == 0.0
