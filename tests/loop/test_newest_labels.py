"""A version is held against the champion on labels that came after its training, before it is released."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from world import MakeWorld, World

from kept.governance.workspace import Workspace
from kept.packaging.build import package
from kept.packaging.bundle import store_bundle
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.plan.policy import drift
from kept.plan.project import Project
from kept.tracking.runs import queued_runs


def declare(project: Project) -> None:
    project.retrain(on=[drift()], cooldown="1d")


def bundle(workspace: Workspace, folder: Path, slope: float) -> str:
    """A model that says the chance of the label is the logistic function of `slope` times x; the truth is 1.2."""
    random = np.random.default_rng(8)
    frame = pl.DataFrame({"x": random.normal(size=300), "origin": random.choice(["EWR", "JFK", "LGA"], 300)})
    encoder = fit_encoder(frame, ["x", "origin"])
    model = LogisticRegression().fit(encode_frame(frame, encoder), frame["x"] > 0)
    model.coef_, model.intercept_ = np.array([[slope, 0.0]]), np.zeros(1)
    signature = signature_of(frame, encoder, task="binary", classes=(False, True))
    package(model, encoder, signature, frame, folder / f"bundle{slope}", latency_runs=1)
    return store_bundle(folder / f"bundle{slope}", workspace.blobs)


def trained(world: World, digest: str, days: int) -> None:
    """Inputs drift, a training is asked for, so many days pass until it has made that bundle, and the loop looks."""
    world.days(6)
    world.shift = 2.5
    while not queued_runs(world.workspace, "training"):
        world.days(1)
    world.days(days)
    world.bundle = digest
    world.train()
    world.tick()


@pytest.mark.parametrize(("slope", "kind"), [(-1.2, "reject"), (1.2, "release")])
def test_what_does_worse_on_newer_labels_is_not_released(
    make_world: MakeWorld, workspace: Workspace, tmp_path: Path, slope: float, kind: str
) -> None:
    world = make_world(declare)
    before = world.status().route
    assert before is not None
    trained(world, bundle(workspace, tmp_path, slope), 2)
    told = world.decisions()[-1]
    assert told.kind == kind
    newest = told.evidence["newest_labels"]
    assert newest["labels"] == 400
    assert newest["worse"] is (kind == "reject")
    rollout = world.status().rollout
    if kind == "release":
        # The champion's answers in this world are those very chances.
        assert "cannot be told apart" in newest["sentence"]
        assert rollout is not None
        assert rollout.running
        return
    assert rollout is None or not rollout.running
    assert "400 labelled predictions are newer than 2013-04-" in told.reason
    assert "On these it is worse: its mean loss is 0." in told.reason
    assert newest["high"] < 0
    (alert,) = world.alerts("rejected")
    assert alert.evidence["reason"] == told.reason
    # It is said once; the loop goes on.
    world.days(1)
    assert [one.kind for one in world.decisions()].count("reject") == 1


def test_labels_of_many_windows_are_judged_by_the_window(
    make_world: MakeWorld, workspace: Workspace, tmp_path: Path
) -> None:
    world = make_world(declare)
    trained(world, bundle(workspace, tmp_path, -1.2), 6)
    told = world.decisions()[-1]
    assert told.kind == "reject"
    newest = told.evidence["newest_labels"]
    assert (newest["labels"], newest["windows"]) == (1_200, 6)
    assert newest["high"] < 0
    assert "lie in 6 windows, of which each is one observation" in newest["sentence"]


def test_few_labels_decide_nothing(make_world: MakeWorld, workspace: Workspace, tmp_path: Path) -> None:
    world = make_world(declare)
    trained(world, bundle(workspace, tmp_path, -1.2), 0)
    told = world.decisions()[-1]
    assert told.kind == "release"
    assert told.evidence["newest_labels"]["sentence"].startswith("Only 0 labelled predictions are newer than")


def test_a_bundle_that_cannot_be_asked_is_said_and_stops_nothing(make_world: MakeWorld) -> None:
    world = make_world(declare)
    trained(world, "", 2)
    told = world.decisions()[-1]
    assert told.kind == "release"
    assert told.evidence["newest_labels"]["sentence"].startswith("It was not asked about the newest labels:")
