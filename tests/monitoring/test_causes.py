"""Causes of a version doing worse, as they stand in the evidence of its alert."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from kept.core.errors import NotFound
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.causes import ShowCauses, find_causes, show_causes, with_causes
from kept.monitoring.estimate import Memory, covariates
from kept.monitoring.outcomes import Outcomes

ALERT = RaiseAlert(
    project="flights",
    endpoint="flights",
    kind="decay",
    severity="critical",
    title="it decays",
    evidence={"value": 3},
    event_time=datetime(2013, 4, 1, tzinfo=UTC),
)


def outcomes(seed: int, rows: int, *, worse: float = 0.0, shift: float = 0.0) -> Outcomes:
    """The model says 0.2 of all; at JFK it comes true more often by `worse`, and so it does of large ones."""
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "origin": random.choice(["EWR", "JFK", "LGA"], rows),
            "size": random.normal(shift, 1, rows),
            "fuel": random.normal(size=rows),
        }
    )
    chance = 0.2 + worse * (frame["origin"] == "JFK").to_numpy() + 0.3 * (frame["size"] > 1).to_numpy()
    labels = (random.random(rows) < chance).astype(np.float64)
    return Outcomes(frame=frame, labels=labels, scores=np.full(rows, 0.2))


def baseline() -> Memory:
    first = outcomes(0, 1_500)
    return Memory.empty().with_rows(first.labels, first.scores, covariates(first.frame, first.scores))


def test_a_slice_that_got_worse_is_named_in_the_alert(workspace: Workspace, me: Actor) -> None:
    now = outcomes(1, 1_000, worse=0.5)
    found = find_causes("binary", baseline(), now, covariates(now.frame, now.scores))
    assert found is not None
    assert found.columns[0].column == "origin"
    assert found.columns[0].worst == "origin = JFK"
    assert found.slices[0].slice.startswith("origin = JFK")
    assert found.slices[0].p <= 0.05
    assert found.outcomes > 0.7 * found.rise
    assert sum(one.part for one in found.shifts) + found.outcomes == pytest.approx(found.rise)
    assert found.sentences[0].startswith("Brier score rose from")
    with pytest.raises(NotFound):
        show_causes(workspace, me, ShowCauses(endpoint="flights"))
    raised = raise_alert(workspace, me, with_causes(ALERT, found))
    told = show_causes(workspace, me, ShowCauses(endpoint="flights"))
    assert (told.alert.id, told.causes) == (raised.id, found)
    assert told.alert.evidence["causes"] == list(found.sentences)
    assert show_causes(workspace, me, ShowCauses(endpoint="flights", alert=raised.id)).causes == found
    with pytest.raises(NotFound):
        show_causes(workspace, me, ShowCauses(endpoint="other", alert=raised.id))


def test_a_shift_is_named_and_not_blamed_on_outcomes() -> None:
    now = outcomes(1, 1_500, shift=1.0)
    found = find_causes("binary", baseline(), now, covariates(now.frame, now.scores))
    assert found is not None
    assert found.columns[0].column == "size"
    assert found.shifts[0].columns == "size"
    assert found.columns[0].mix > abs(found.columns[0].within)


def test_nothing_is_said_of_what_did_not_fall_or_is_not_known() -> None:
    good = outcomes(1, 500)
    better = Outcomes(frame=good.frame, labels=np.zeros(500), scores=np.zeros(500))
    assert find_causes("binary", baseline(), better, covariates(better.frame, better.scores)) is None
    assert find_causes("binary", Memory.empty(), good, covariates(good.frame, good.scores)) is None
    few = outcomes(1, 5, worse=0.5)
    assert find_causes("binary", baseline(), few, covariates(few.frame, few.scores)) is None
    other = Outcomes(frame=good.frame.drop("fuel"), labels=good.labels, scores=good.scores)
    assert find_causes("binary", baseline(), other, covariates(other.frame, other.scores)) is None
    assert with_causes(ALERT, None) is ALERT


def test_many_columns_are_told_as_the_most_shifted_and_all_others() -> None:
    def wide(seed: int, shift: float) -> Outcomes:
        one = outcomes(seed, 800, shift=shift)
        random = np.random.default_rng(seed)
        more = {f"x{i}": random.normal(size=800) for i in range(5)}
        return Outcomes(frame=one.frame.with_columns(**more), labels=one.labels, scores=one.scores)

    first, now = wide(0, 0.0), wide(1, 1.0)
    known = Memory.empty().with_rows(first.labels, first.scores, covariates(first.frame, first.scores))
    found = find_causes("binary", known, now, covariates(now.frame, now.scores))
    assert found is not None
    assert len(found.shifts) == 5
    assert "all other columns" in {one.columns for one in found.shifts}
