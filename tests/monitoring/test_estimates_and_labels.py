"""Estimates of a window, whether they can be trusted, and how they stand beside the labels."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.measures.arrays import Floats, decode, encode
from kept.measures.metrics import measure
from kept.monitoring.estimate import LEAST_SUPPORT, REMEMBERED, Memory, caution, covariates, estimate_window
from kept.monitoring.estimates import ShowEstimates, show_estimates
from kept.monitoring.performance import Measured
from kept.monitoring.records import save_results
from kept.plan.objective import at_least
from kept.plan.specs import Task

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)


def traffic(seed: int, rows: int, shift: float) -> tuple[pl.DataFrame, Floats, Floats]:
    random = np.random.default_rng(seed)
    one, two = random.normal(size=rows), random.normal(shift, 1, rows)
    chance = 1 / (1 + np.exp(-(1.5 * one + np.where(two > 0.5, -1.5, 0.5))))
    frame = pl.DataFrame({"one": one, "two": two, "place": random.choice(["a", "b"], rows)})
    return frame, 1 / (1 + np.exp(-1.5 * one)), (random.random(rows) < chance).astype(np.float64)


def memory_of(*windows: tuple[pl.DataFrame, Floats, Floats]) -> Memory:
    memory = Memory.empty()
    for frame, scores, labels in windows:
        memory = memory.with_rows(labels, scores, covariates(frame, scores))
    return memory


def estimated(task: Task, memory: Memory, frame: pl.DataFrame, scores: Floats) -> dict[str, Measured]:
    found = estimate_window(task, [at_least("accuracy", 0.5)], memory, scores, covariates(frame, scores))
    return {one.metric: one for one in found}


def test_estimates_follow_traffic_that_moved() -> None:
    memory = memory_of(*(traffic(seed, 700, 0.0) for seed in range(3)))
    assert memory.labels.size == memory.features.rows == REMEMBERED
    frame, scores, labels = traffic(9, 2_000, 1.0)
    found = estimated("binary", decode(encode(memory), Memory), frame, scores)
    actual, before = measure("accuracy", labels, scores), measure("accuracy", memory.labels, memory.scores)
    value = found["estimated_accuracy"].value
    assert value is not None
    assert abs(value - actual) < 0.03 < abs(before - actual)
    assert found["estimated_accuracy"].holds is True
    assert found["support"].holds is True
    assert set(found) >= {"estimated_roc_auc", "estimated_log_loss", "estimated_brier_score"}


def test_traffic_unlike_anything_labelled_is_said_to_be_so() -> None:
    memory = memory_of(traffic(0, 1_000, 0.0))
    frame, scores, _ = traffic(9, 1_000, 4.0)
    found = estimated("binary", memory, frame, scores)
    assert (found["outside"].slice, found["outside"].holds) == ("two", False)
    assert found["estimated_accuracy"].holds is None
    assert "traffic has moved" in caution(support=LEAST_SUPPORT / 2, remembered=1_000)
    elsewhere = traffic(9, 1_000, 0.0)[0].with_columns(place=pl.lit("new"))
    outside = estimated("binary", memory, elsewhere, scores)["outside"]
    assert (outside.slice, outside.value, outside.holds) == ("place", 1.0, False)
    assert "100% of the rows have a value of place" in caution(outside="place", share=1.0)
    assert caution(support=LEAST_SUPPORT, remembered=1_000) == ""


def test_regression_and_many_classes_are_estimated() -> None:
    frame, scores, labels = traffic(0, 1_500, 0.0)
    memory = memory_of((frame, scores, labels))
    error = estimated("regression", memory, frame, scores)["estimated_mae"]
    assert error.value == pytest.approx(measure("mae", labels, scores), abs=0.03)
    three = np.column_stack([0.6 * (1 - scores), 0.4 * (1 - scores), scores])
    classes = np.where(labels == 1, 2.0, np.random.default_rng(0).integers(0, 2, labels.size))
    found = estimated("multiclass", memory_of((frame, three, classes)), frame, three)["estimated_accuracy"]
    assert found.value == pytest.approx(measure("accuracy", classes, three), abs=0.03)


def test_what_was_remembered_otherwise_is_forgotten() -> None:
    frame, scores, labels = traffic(0, 400, 0.0)
    older = Memory(scores=scores, labels=labels)
    assert estimated("binary", older, frame, scores) == {}
    assert older.with_rows(labels[:9], scores[:9], covariates(frame[:9], scores[:9])).labels.size == 9
    fewer = memory_of((frame.drop("two"), scores, labels), (frame, scores, labels))
    assert fewer.labels.size == 400
    assert memory_of((frame.head(0), scores[:0], labels[:0])).labels.size == 0


def test_estimates_stand_beside_the_truth(workspace: Workspace, me: Actor) -> None:
    def number(metric: str, day: int, value: float, width: float, monitor: str, holds: bool | None = None) -> None:
        one = Measured(metric=metric, value=value, low=value - width, high=value + width, rows=500, holds=holds)
        with workspace.database.writing() as connection:
            save_results(connection, [one.of("flights", "v1", NOON + timedelta(days=day), monitor)])

    for day, (thought, was) in enumerate([(0.80, 0.81), (0.80, 0.70), (0.60, 0.90)]):
        number("estimated_accuracy", day, thought, 0.02, "estimate")
        number("accuracy", day, was, 0.02, "performance")
    number("estimated_accuracy", 3, 0.75, 0.02, "estimate")
    number("support", 2, 12.0, 0.0, "estimate", holds=False)
    found = show_estimates(workspace, me, ShowEstimates(endpoint="flights", metric="accuracy"))
    assert [one.agrees for one in found.windows] == [True, False, False, None]
    assert [one.trusted for one in found.windows] == [True, True, False, True]
    assert "only about 12 of the 500" in found.windows[2].caution
    assert found.windows[3].actual is None
    assert found.compared[0].windows == 2
    assert found.compared[0].mean_absolute_difference == pytest.approx(0.055)
    assert "met them in 50%" in found.compared[0].verdict
    assert show_estimates(workspace, me, ShowEstimates(endpoint="flights", metric="f1")).windows == ()
