"""Runs are compared over their seeds and folds, with intervals and words."""

import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from kept.core.errors import Invalid, NotFound
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.comparing import compare_runs
from kept.tracking.comparison import CompareRuns, GroupDifference, RunComparison
from kept.tracking.recording import delete_run, update_run
from kept.tracking.requests import DeleteRun, UpdateRun
from kept.tracking.run import Run, RunStatus

pytestmark = pytest.mark.each_database

Logged = Callable[..., Run]
NOISE = np.random.default_rng(2).normal(scale=0.02, size=12)


@pytest.fixture
def compare(workspace: Workspace, me: Actor) -> Callable[..., RunComparison]:
    def asking(**asked: object) -> RunComparison:
        return compare_runs(workspace, me, CompareRuns(**{"experiments": ["churn"], **asked}))  # type: ignore[arg-type]

    return asking


def repeated(
    logged: Logged, model: str, values: Iterable[float], *, over: str = "seed", metric: str = "accuracy"
) -> None:
    for number, value in enumerate(values):
        logged(metrics={metric: float(value)}, params={"model": model, over: str(number)})


def difference(found: RunComparison, metric: str = "accuracy") -> GroupDifference:
    (one,) = [one for one in found.differences if one.metric == metric]
    return one


def test_runs_that_differ_by_seed_are_one_group_with_an_interval(
    logged: Logged, compare: Callable[..., RunComparison]
) -> None:
    repeated(logged, "trees", [0.80, 0.82, 0.81])
    repeated(logged, "linear", [0.70])
    found = compare()
    assert found.by == ["params.model"]
    assert [(group.name, len(group.runs)) for group in found.groups] == [("model=trees", 3), ("model=linear", 1)]
    trees, linear = (group.metrics[0] for group in found.groups)
    # 0.81 and 4.303 times 0.01 over the root of 3.
    assert (trees.mean, trees.low, trees.high) == pytest.approx((0.81, 0.78516, 0.83484), abs=1e-4)
    assert trees.said == "0.81 (0.7852 to 0.8348, n=3)"
    assert (linear.mean, linear.low, linear.said) == (0.70, None, "0.7 (n=1, no interval)")
    assert difference(found).said == "-0.11, no interval: it takes two repeats of each"
    assert difference(found).verdict == "no interval"


def test_seeds_that_pair_up_tell_more(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    # Each seed shifts both by as much: unpaired, the difference would drown in it.
    shift = [0.0, 0.2, 0.1, 0.3, 0.05]
    repeated(logged, "old", [0.5 + one for one in shift])
    repeated(logged, "new", [0.51 + one + 0.1 * noise for one, noise in zip(shift, NOISE, strict=False)])
    found = difference(compare(baseline="old"))
    assert (found.verdict, found.pairs, found.method) == ("better", 5, "paired t")
    assert found.said.startswith("better: +0.00944")


def test_without_pairs_the_groups_are_compared_as_wholes(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    for number in range(4):
        logged(metrics={"loss": 1.0 + 0.01 * number}, params={"model": "old", "seed": str(number)})
        logged(metrics={"loss": 2.0 + 0.01 * number}, params={"model": "new", "seed": str(100 + number)})
    found = difference(compare(), "loss")
    assert (found.verdict, found.pairs, found.method) == ("worse", 0, "Welch's t")


def test_many_comparisons_are_paid_for(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    random = np.random.default_rng(7)
    shift = random.normal(size=6)
    repeated(logged, "base", shift)
    for model in range(30):
        repeated(logged, f"m{model:02}", shift + random.normal(size=6))
    found = compare(baseline="base")
    assert sum(one.p is not None and one.p < 0.05 for one in found.differences) >= 1
    assert {one.verdict for one in found.differences} == {"undecided"}
    assert "after Holm for 30 comparisons" in found.differences[0].said


def test_folds_are_not_taken_for_independent(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    repeated(logged, "trees", [0.80, 0.82, 0.81, 0.79, 0.83], over="fold")
    repeated(logged, "other", [0.80, 0.83, 0.81, 0.80, 0.83], over="fold")
    found = compare()
    assert found.groups[0].metrics[0].method == "t, corrected for folds"
    assert difference(found).method == "paired t, corrected for folds"
    assert any("folds share training rows" in note for note in found.notes)


def test_which_way_is_better(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    names = ["val_loss", "test/roc_auc", "val/log_loss", "speed", "train_error"]
    for model, value in (("a", 1.0), ("b", 2.0)):
        for seed in range(3):
            logged(metrics=dict.fromkeys(names, value + 0.001 * seed), params={"model": model, "seed": str(seed)})
    found = compare()
    assert {one.name: one.better for one in found.metrics} == {
        "speed": None,
        "test/roc_auc": "higher",
        "train_error": "lower",
        "val/log_loss": "lower",
        "val_loss": "lower",
    }
    assert {one.metric: one.verdict for one in found.differences} == {
        "speed": "higher",
        "test/roc_auc": "better",
        "train_error": "worse",
        "val/log_loss": "worse",
        "val_loss": "worse",
    }
    assert difference(compare(higher_is_better=["speed"], metrics=["speed"]), "speed").verdict == "better"


def test_what_is_not_a_number_is_left_out_and_counted(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    repeated(logged, "a", [0.5, math.nan, math.inf, 0.6])
    (group,) = compare(by=["params.model"]).groups
    assert (group.metrics[0].repeats, group.metrics[0].without) == (2, 2)


def test_runs_that_failed_or_are_deleted_are_left_out(
    workspace: Workspace, me: Actor, logged: Logged, compare: Callable[..., RunComparison]
) -> None:
    repeated(logged, "a", [0.5, 0.6])
    failed, deleted = logged(metrics={"accuracy": 9.0}), logged(metrics={"accuracy": 9.0})
    update_run(workspace, me, UpdateRun(run=failed.id, status=RunStatus.FAILED))
    delete_run(workspace, me, DeleteRun(run=deleted.id))
    found = compare(by=["experiment"])
    assert [(group.name, len(group.runs)) for group in found.groups] == [("churn", 2)]
    assert found.notes[0] == "1 runs that failed or were cancelled are left out"
    # Who names them means them.
    assert len(compare(runs=[failed.id, deleted.id], by=["experiment"]).groups[0].runs) == 2


def test_grouping_by_tags_names_and_filters(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    logged(name="first", metrics={"accuracy": 0.5}, tags={"stage": "a", "seed": "1"})
    logged(name="second", metrics={"accuracy": 0.6}, tags={"stage": "b", "seed": "1"})
    logged(name="third", metrics={"accuracy": 0.7}, tags={"stage": "b", "seed": "2"})
    assert [group.name for group in compare(by=["tags.stage"]).groups] == ["stage=a", "stage=b"]
    assert [group.name for group in compare().groups] == ["first", "second", "third"]
    assert compare(by=["params.none", "tags.stage"]).groups[0].name == "none=-, stage=a"
    assert len(compare(filter="metrics.accuracy > 0.55").groups) == 2
    assert compare(by=["tags.stage"]).baseline == "stage=a"
    assert compare(by=["tags.stage"], baseline="b").baseline == "stage=b"


def test_repeats_of_one_thing_alone_are_one_group(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    for seed in range(4):
        logged(params={"model": "a", "seed": str(seed)}, metrics={"accuracy": 0.5 + seed / 100})
    (group,) = compare().groups
    assert (len(group.runs), group.metrics[0].repeats) == (4, 4)
    assert group.metrics[0].low is not None


def test_a_group_is_not_named_for_what_its_runs_lack(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    logged(params={"depth": "3"}, metrics={"accuracy": 0.5})
    logged(params={"rate": "0.1"}, metrics={"accuracy": 0.6})
    logged(metrics={"accuracy": 0.7})
    assert [group.name for group in compare().groups] == ["depth=3", "rate=0.1", "none of these parameters"]


def test_what_cannot_be_compared_is_told(logged: Logged, compare: Callable[..., RunComparison]) -> None:
    with pytest.raises(NotFound, match="no run fits"):
        compare()
    repeated(logged, "a", [0.5])
    repeated(logged, "b", [0.5])
    with pytest.raises(Invalid, match="can be grouped by"):
        compare(by=["depth"])
    with pytest.raises(NotFound, match="accuracy"):
        compare(metrics=["rmse"])
    with pytest.raises(NotFound, match="There are: churn"):
        compare(experiments=["chrn"])
    with pytest.raises(Invalid, match="model=a; model=b"):
        compare(baseline="model")
    with pytest.raises(NotFound, match="there is no run nothing"):
        compare(runs=["nothing"])
