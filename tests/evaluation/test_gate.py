from functools import cache

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.evaluation.comparison import Comparison, compare
from kept.evaluation.gate import Verdict, judge
from kept.evaluation.report import EvaluationReport, evaluate
from kept.measures.arrays import Floats
from kept.plan.objective import Objective, at_least, at_most

N = 600


def scored(seed: int = 0, noise: float = 1.0) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    truth = random.normal(size=N)
    labels = (random.random(N) < 1 / (1 + np.exp(-2 * truth))).astype(float)
    return 1 / (1 + np.exp(-2 * (truth + noise * random.normal(size=N)) / (1 + noise))), labels


FRAME = pl.DataFrame({"origin": ["EWR", "JFK", "LGA"] * (N // 3)})


@cache
def reported() -> EvaluationReport:
    scores, labels = scored()
    by_slice = [at_least("roc_auc", 0.5, by="origin")]
    return evaluate("binary", (0, 1), scores, labels, FRAME, by_slice, {"size_mb": 1.5}, seed=0)


def verdict_on(*objectives: Objective) -> Verdict:
    return judge(objectives, reported())


def versus(name: str, challenger: float, rival: float) -> Comparison:
    ours, labels = scored(noise=challenger)
    theirs, _ = scored(noise=rival)
    return compare("binary", (0, 1), labels, ours, theirs, name=name, objectives=[at_least("roc_auc", 0.5)], seed=0)


def test_every_objective_has_value_bound_margin_and_outcome() -> None:
    verdict = verdict_on(at_least("roc_auc", 0.6), at_most("log_loss", 0.1), at_most("size_mb", 20))
    auc, loss, size = verdict.objectives
    assert auc.passed
    assert auc.value is not None
    assert auc.margin == pytest.approx(auc.value - 0.6)
    assert not loss.passed
    assert loss.margin is not None
    assert loss.margin < 0
    assert (size.passed, size.value, size.margin) == (True, 1.5, 18.5)
    assert not verdict.accepted
    assert verdict.failed == ("log_loss at most 0.1",)
    assert verdict.reasons == (loss.sentence,)
    assert "promised is at most 0.1." in loss.sentence
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


def test_a_slice_objective_names_the_worst_slice_and_shows_all() -> None:
    verdict = verdict_on(at_least("roc_auc", 0.99, by="origin"))
    (one,) = verdict.objectives
    assert {each.value for each in one.slices} == {"EWR", "JFK", "LGA"}
    assert one.worst == min(one.slices, key=lambda each: each.measured or 0).value
    assert f"worst where origin is {one.worst}" in one.sentence
    assert "3 of 3 judged slices fail" in one.sentence


def test_what_was_not_measured_is_not_kept() -> None:
    verdict = verdict_on(at_most("latency_p99_ms", 20))
    assert verdict.reasons == ("latency_p99_ms was not measured or is not defined; promised is at most 20.",)


def test_an_objective_by_slice_without_a_slice_to_judge_fails() -> None:
    scores, labels = scored()
    objective = at_least("roc_auc", 0.5, by="row")
    frame = pl.DataFrame({"row": [i % 100 for i in range(N)]})
    verdict = judge([objective], evaluate("binary", (0, 1), scores, labels, frame, [objective], {}, seed=0))
    assert not verdict.accepted
    assert verdict.reasons[0].startswith("No slice of row could be judged")


def test_a_model_that_is_clearly_worse_fails_and_one_that_cannot_be_told_apart_does_not() -> None:
    report = reported()
    worse = judge((), report, champion=versus("champion", 2.0, 0.3), baseline=versus("baseline", 2.0, 2.0))
    assert [check.passed for check in worse.checks] == [True, False]
    assert worse.failed == ("not clearly worse than the champion",)
    assert "the model is worse than the champion: log_loss" in worse.reasons[0]
    assert "cannot be told apart from the baseline" in worse.checks[0].sentence
    better = judge((), report, champion=versus("champion", 0.3, 2.0))
    assert better.accepted
    assert "is better than the champion" in better.checks[0].sentence


def test_improvement_is_positive_where_the_challenger_is_better_whatever_the_metric() -> None:
    comparison = versus("champion", 0.3, 2.0)
    assert [one.metric for one in comparison.differences] == ["log_loss", "roc_auc"]
    for one in comparison.differences:
        assert one.clearly_better
        assert one.low is not None
        assert one.improvement is not None
        assert one.high is not None
        assert one.low < one.improvement < one.high
    back = versus("champion", 2.0, 0.3)
    for there, again in zip(comparison.differences, back.differences, strict=True):
        assert there.improvement == pytest.approx(-(again.improvement or 0))


def test_regression_is_compared_by_its_squared_error() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(size=300)
    close, far = truth + 0.1 * random.normal(size=300), truth + random.normal(size=300)
    comparison = compare("regression", (), truth, close, far, name="baseline", seed=0)
    assert comparison.loss == "rmse"
    assert comparison.judged.clearly_better


def test_rows_of_one_window_count_as_one_observation_and_the_sentence_says_so() -> None:
    random = np.random.default_rng(2)
    day = np.repeat(np.arange(8), 200)
    truth = random.normal(size=day.size)
    # The rival is right but for one bad day: by rows that is certain, by days it is one day of eight.
    rival = truth + np.where(day == 3, 2.0, 0.5) * random.normal(size=day.size)
    challenger = truth + 0.6 * random.normal(size=day.size)
    by_rows = compare("regression", (), truth, challenger, rival, name="champion", seed=0)
    by_windows = compare("regression", (), truth, challenger, rival, name="champion", seed=0, windows=day)
    assert by_rows.judged.clearly_better
    assert by_rows.windows is None
    assert not by_windows.judged.clearly_better
    assert by_windows.windows == 8
    assert "judged by its 8 windows" in by_windows.sentence


def test_fewer_than_five_windows_are_taken_as_rows() -> None:
    scores, labels = scored(noise=0.3)
    theirs, _ = scored(noise=2.0)
    few = np.arange(N) // 200
    found = compare("binary", (0, 1), labels, scores, theirs, name="champion", seed=0, windows=few)
    assert found.windows is None
    assert found == compare("binary", (0, 1), labels, scores, theirs, name="champion", seed=0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_accepted_is_that_every_objective_holds(bounds: list[float]) -> None:
    verdict = verdict_on(*(at_least("accuracy", bound) for bound in bounds))
    assert verdict.accepted == all(one.passed for one in verdict.objectives) == (not verdict.failed)
    assert len(verdict.reasons) == len(verdict.failed)
    for one, bound in zip(verdict.objectives, bounds, strict=True):
        assert one.passed == (one.value is not None and one.value >= bound)
