"""One budget of false alarms for all detectors of an endpoint."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from kept.evaluation.loss import LossReference, reference_loss
from kept.measures.arrays import Floats
from kept.measures.drift.reference import Reference, build_reference
from kept.monitoring import decay, drift
from kept.monitoring import predictions as said
from kept.monitoring.budget import Budget, Detector, budget_of
from kept.monitoring.window import window_of
from kept.plan.windows import Windows

DAY = timedelta(days=1)
NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
ROWS = 100


def test_the_shares_of_what_is_watched_make_one_budget() -> None:
    detectors: tuple[Detector, ...] = ("drift", "decay", "predictions")
    shares = [budget_of(one, 90 * DAY, explained=False).share for one in detectors]
    assert sum(shares) == pytest.approx(1.0)
    explained = [budget_of(one, 90 * DAY, explained=True).share for one in (*detectors, "attribution")]
    assert sum(explained) == pytest.approx(1.0)
    assert min(explained) > 0


def test_a_share_is_a_sentence_and_a_number_of_windows() -> None:
    one = Budget(whole=90 * DAY, share=0.4)
    assert one.windows(timedelta(hours=12)) == pytest.approx(450)
    assert Budget(whole=timedelta(hours=1), share=1.0).windows(DAY) == 1
    assert (
        one.sentence
        == "at most one false alarm in 90d by all detectors of the endpoint together; 40% of that is this one's"
    )


def test_what_is_declared_counts_for_a_detector_that_is_under_way() -> None:
    world = World(0)
    watch = world.a_day_of(None, 90.0)
    assert watch is not None
    seen = watch.detector.values
    again = drift.continued(watch, version_id="v1", digest="d", reference=world.reference, acted_at=None, windows=30.0)
    assert again.detector.budget == 30.0
    assert again.detector.values is seen


class World:
    """An endpoint on which nothing changes but for small effects of the day, which the reference has as well."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        days = [self._day() for _ in range(20)]
        table = {name: np.concatenate([day[name] for day in days]) for name in ("a", "b", "c")}
        windows = np.repeat(np.arange(20), ROWS)
        self.reference: Reference = build_reference(table, dict.fromkeys(table, "numeric"), windows)
        losses = np.concatenate([day["loss"] for day in days])
        self.loss: LossReference = reference_loss("binary", losses, np.zeros(losses.size), windows)

    def _day(self) -> dict[str, Floats]:
        random = self._random
        features = {name: random.normal(0.05 * random.normal(), 1, ROWS) for name in ("a", "b", "c")}
        score = 1 / (1 + np.exp(-features["a"] - features["b"]))
        return {**features, "score": score, "loss": (random.random(ROWS) < 0.1).astype(np.float64)}

    def a_day_of(self, watch: drift.DriftWatch | None, windows: float) -> drift.DriftWatch:
        return self._drift(watch, windows, self._day())

    def _drift(self, watch: drift.DriftWatch | None, windows: float, day: dict[str, Floats]) -> drift.DriftWatch:
        watch = drift.continued(
            watch, version_id="v1", digest="d", reference=self.reference, acted_at=None, windows=windows
        )
        counts = drift.count(self.reference, pl.DataFrame({name: day[name] for name in ("a", "b", "c")}))
        detector, finding = drift.judge(watch.detector, self.reference, counts)
        return msgspec.structs.replace(watch, detector=detector, alarmed=finding.alarm)

    def alarms(self, budgets: dict[Detector, float], windows: int) -> int:
        """How often any of them alarms; each starts anew behind its own alarm."""
        inputs, answers, labels, found = None, said.continued(None, "v1", None), None, 0
        for number in range(windows):
            day = self._day()
            inputs = self._drift(inputs, budgets["drift"], day)
            window = window_of(NOON + number * DAY, Windows(length=DAY))
            answers, _ = said.feed(answers, "binary", day["score"], budgets["predictions"], window)
            labels = labels or decay.begin(self.loss, 0.0, ROWS, budgets["decay"])
            fed = decay.fed_window(labels, self.loss, window.start, day["loss"], ROWS)
            (shown,) = decay.course(labels, self.loss, [fed])
            found += inputs.alarmed + answers.alarmed + shown.alarm
            inputs = None if inputs.alarmed else inputs
            answers = msgspec.structs.replace(answers, detector=None, alarmed=False) if answers.alarmed else answers
            labels = None if shown.alarm else shown.after
        return found


def test_quiet_days_keep_the_budget_of_all_detectors_together() -> None:
    budgets: dict[Detector, float] = {
        one: budget_of(one, 20 * DAY, explained=False).windows(DAY) for one in ("drift", "decay", "predictions")
    }
    alarms = sum(World(seed).alarms(budgets, 60) for seed in range(10))
    # One in 20 windows is allowed, which are 30 in these 600.
    assert alarms <= 30
