from pathlib import Path

import polars as pl
import pytest

from kept.evaluation.unseen import learnt_rows, unseen
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.pipelines.codec import Codec
from kept.pipelines.context import StepContext
from kept.pipelines.records import put_steps
from kept.pipelines.run_step import RunStep, StepStatus
from kept.plan.split import at_random, by_time
from kept.training.fitting import rows_of
from kept.training.splits import TEST, split_rows


def rows(count: int, first: int = 0) -> pl.DataFrame:
    frame = pl.DataFrame({"id": range(first, first + count)})
    at = pl.datetime(2013, 1, 1, time_zone="UTC") + pl.duration(hours=pl.col("id"))
    return frame.with_columns(at.alias("at"), (pl.col("id") % 7 == 0).alias("late"))


def test_rows_are_told_apart_by_their_key() -> None:
    learnt = pl.DataFrame({"id": [1, 2], "x": [0.5, 0.5]})
    today = pl.DataFrame({"id": ["2", "3"], "x": [0.5, 0.5]})
    assert unseen(today, learnt, ["id"]).to_list() == [False, True]


@pytest.mark.parametrize("key", [[], ["new"]])
def test_rows_without_a_key_are_told_apart_by_all_that_is_in_both(key: list[str]) -> None:
    learnt = pl.DataFrame({"who": ["a", None], "x": [0.5, None], "old": [1, 2]})
    today = pl.DataFrame({"who": ["a", "a", None], "x": [0.5, 0.7, None], "new": [1, 2, 3]})
    assert unseen(today, learnt, key).to_list() == [False, True, False]


def test_rows_that_have_nothing_in_common_are_unseen() -> None:
    assert unseen(pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]}), []).to_list() == [True]


def test_divided_at_random_a_champion_knows_many_of_the_test_rows_and_divided_by_time_none() -> None:
    before, today = rows(800), rows(1000)
    shares = {}
    for name, rule in (("random", at_random()), ("time", by_time())):
        parts = [split_rows(one, rule, event_time="at", label="late", seed=0).to_frame() for one in (before, today)]
        learnt, test = rows_of(before, parts[0], "train", "validation"), rows_of(today, parts[1], TEST)
        shares[name] = unseen(test, learnt, ["id"]).mean()
    assert shares["time"] == 1.0
    assert 0.2 < float(str(shares["random"])) < 0.6


def test_what_a_run_learnt_from_is_read_back(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    context = StepContext(
        run_id="now",
        project="p",
        step="evaluate",
        attempt=1,
        seed=0,
        workspace=workspace,
        actor=me,
        scratch=tmp_path,
        report=lambda _: None,
    )
    assert learnt_rows(context, "before") is None
    codec = Codec(workspace.blobs, tmp_path)
    table, parts = rows(3), pl.DataFrame({"part": ["train", "validation", "test"]})
    steps = [
        RunStep(
            run_id="before",
            step=name,
            position=place,
            status=StepStatus.FINISHED,
            output=codec.store(frame, where=name),
        )
        for place, (name, frame) in enumerate({"join": table, "split": parts}.items())
    ]
    with workspace.database.writing() as connection:
        put_steps(connection, steps)
    learnt = learnt_rows(context, "before")
    assert learnt is not None
    assert learnt.get_column("id").to_list() == [0, 1]
