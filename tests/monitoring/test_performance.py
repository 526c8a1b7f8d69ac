from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from kept.evaluation.loss import LossReference, reference_loss
from kept.measures.arrays import decode, encode
from kept.measures.betting import LabelDetector
from kept.monitoring.budget import Budget
from kept.monitoring.decay import DecayFinding, begin, course, fed_window
from kept.monitoring.outcomes import Outcomes, encode_known, loss_between_0_and_1
from kept.monitoring.performance import failed_objectives, label_delay, measure_window
from kept.plan.objective import at_least, at_most

APRIL = datetime(2013, 4, 1, tzinfo=UTC)
OBJECTIVES = [at_least("roc_auc", 0.65), at_least("roc_auc", 0.6, by="origin"), at_most("latency_p99_ms", 20)]


def outcomes(rows: int, strength: float, seed: int = 1) -> Outcomes:
    random = np.random.default_rng(seed)
    scores = random.uniform(0.05, 0.95, rows)
    labels = (random.uniform(size=rows) < 0.5 + strength * (scores - 0.5)).astype(np.float64)
    frame = pl.DataFrame({"origin": np.resize(["EWR", "JFK"], rows)})
    return Outcomes(frame=frame, labels=labels, scores=scores)


def test_objectives_are_measured_overall_and_by_slice() -> None:
    found = measure_window("binary", OBJECTIVES, outcomes(1000, 1.0), 1250)
    by_name = {(one.metric, one.slice): one for one in found}
    assert by_name["coverage", ""].value == 0.8
    whole = by_name["roc_auc", ""]
    assert whole.holds is True
    assert whole.low is not None
    assert whole.value is not None
    assert whole.high is not None
    assert whole.low < whole.value < whole.high
    assert by_name["roc_auc", "origin=JFK"].holds is True
    assert by_name["log_loss", ""].holds is None
    assert set(failed_objectives(OBJECTIVES, found).values()) == {False}


def test_a_useless_model_fails_by_name() -> None:
    failed = failed_objectives(OBJECTIVES, measure_window("binary", OBJECTIVES, outcomes(1000, 0.0), 1000))
    assert failed == {
        "roc_auc at least 0.65": True,
        "roc_auc at least 0.6 by origin (origin=EWR)": True,
        "roc_auc at least 0.6 by origin (origin=JFK)": True,
    }


def test_few_rows_are_shown_and_not_judged() -> None:
    found = measure_window("binary", OBJECTIVES, outcomes(20, 0.0), 20)
    assert all(one.holds is None for one in found)
    assert failed_objectives(OBJECTIVES, found) == {}
    assert [one.metric for one in measure_window("binary", OBJECTIVES, outcomes(0, 0.0), 20)] == ["coverage"]


def test_labels_fit_their_class_in_any_form_they_are_sent() -> None:
    sent = pl.Series("label", ["1", "0", "true", "maybe"])
    assert np.array_equal(encode_known(sent, (0, 1)), [1, 0, 1, np.nan], equal_nan=True)
    assert list(encode_known(pl.Series([True, False]), (False, True))) == [1, 0]
    assert list(encode_known(pl.Series([1.0, 0.0]), (False, True))) == [1, 0]
    assert list(encode_known(pl.Series(["b", "a"]), ("a", "b", "c"))) == [1, 0]
    assert list(encode_known(pl.Series(["2.5", "3"]), ())) == [2.5, 3.0]


def test_the_delay_of_labels_is_measured_in_event_time() -> None:
    noon = datetime(2026, 4, 1, 12, tzinfo=UTC)
    joined = pl.DataFrame(
        {
            "label": ["1", "0", "1", None],
            "event_time": [noon] * 4,
            "label_known_at": [noon + timedelta(hours=hours) for hours in (1, 2, 12)] + [None],
        }
    )
    (delay,) = label_delay(joined)
    assert (delay.value, delay.rows) == (2.0, 3)
    assert delay.low == pytest.approx(1.2)
    assert delay.high == pytest.approx(10.0)
    assert label_delay(joined.tail(1)) == []


def test_losses_lie_between_0_and_1() -> None:
    numbers = Outcomes(frame=pl.DataFrame(), labels=np.array([1.0, 5.0]), scores=np.array([1.5, 50.0]))
    assert list(loss_between_0_and_1("regression", numbers, 10.0)) == [0.05, 1.0]
    classes = Outcomes(frame=pl.DataFrame(), labels=np.array([2.0]), scores=np.array([[0.0, 1.0, 0.0]]))
    assert list(loss_between_0_and_1("multiclass", classes, None)) == [1.0]


def windows(error: float, days: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [(random.uniform(size=200) < error).astype(np.float64) for _ in range(days)]


def feed(detector: LabelDetector, reference: LossReference, losses: np.ndarray) -> tuple[LabelDetector, DecayFinding]:
    """The detector after one window more."""
    (found,) = course(detector, reference, [fed_window(detector, reference, APRIL, losses, losses.size)])
    return found.after, found


def test_decay_is_found_and_peace_is_kept() -> None:
    reference = LossReference(mean=0.10, error=0.004)
    for error, expected in ((0.10, 0), (0.16, 1)):
        detector = begin(reference, 0.0, labels_per_window=200, windows=90)
        alarms = 0
        for losses in windows(error, 40, seed=3):
            detector, found = feed(detector, reference, losses)
            alarms = max(alarms, int(found.alarm))
        assert alarms == expected


def test_the_budget_is_a_sentence_and_a_number_of_labels() -> None:
    reference = LossReference(mean=0.10, error=0.004)
    _, found = feed(begin(reference, 0.01, 200, 90), reference, np.zeros(10))
    evidence = found.evidence(Budget(whole=timedelta(days=90), share=0.5))
    assert evidence["budget"] == (
        "at most one false alarm in 90d by all detectors of the endpoint together; 50% of that is this one's, which is 18,000 labels"
        " at the rate they come"
    )
    assert evidence["level"] == pytest.approx(0.118)


def bad_days(days: int, seed: int) -> list[np.ndarray]:
    """Days of the same long-run error, some of them much worse than others."""
    random = np.random.default_rng(seed)
    rates = random.beta(2, 18, days)
    return [(random.uniform(size=200) < rate).astype(np.float64) for rate in rates]


def reference_of(days: list[np.ndarray]) -> LossReference:
    labels = np.concatenate(days)
    numbers = np.repeat(np.arange(len(days)), [day.size for day in days])
    return reference_loss("binary", labels, np.zeros(labels.size), numbers)


def test_bad_days_are_not_decay() -> None:
    alarms = {True: 0, False: 0}
    for seed in range(20):
        known = reference_of(bad_days(30, seed))
        assert known.design_effect > 5
        for together in alarms:
            reference = known if together else LossReference(mean=known.mean, error=known.error)
            detector, alarmed = begin(reference, 0.0, labels_per_window=200, windows=90), False
            for losses in bad_days(90, seed + 100):
                detector, found = feed(detector, reference, losses)
                alarmed |= found.alarm
            alarms[together] += alarmed
    # Taken as single labels they alarm nearly always; taken by the day they keep the promise.
    assert alarms[False] >= 15
    assert alarms[True] <= 4


def test_independent_rows_keep_their_full_weight() -> None:
    known = reference_of(windows(0.1, 30, seed=5))
    assert known.design_effect < 2


def test_a_restarted_detector_goes_on_exactly() -> None:
    reference = LossReference(mean=0.10, error=0.004)
    straight = broken = begin(reference, 0.0, 200, 90)
    for losses in windows(0.12, 10, seed=4):
        straight, one = feed(straight, reference, losses)
        broken, other = feed(decode(encode(broken), LabelDetector), reference, losses)
        assert one.measured() == other.measured()
