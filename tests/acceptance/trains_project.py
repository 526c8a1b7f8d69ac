"""The project of a user, as the tests copy it: will the train be late?"""

import polars as pl
import trains
from sklearn.ensemble import HistGradientBoostingClassifier

import kept
from kept import at_least, at_most

project = kept.Project(
    "trains",
    question="Will the train be late?",
    owner="timetable@example.org",
    objectives=[at_least("roc_auc", 0.65), at_most("latency_p99_ms", 200)],
)


@project.dataset(label="late", key="id", event_time="at", label_delay="1h")
def journeys() -> pl.DataFrame:
    """All journeys there are."""
    return trains.days()


@project.model(task="binary")
def trees(learning_rate: float = 0.1) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(learning_rate=learning_rate, max_iter=30)


project.retrain(on=[kept.drift(), kept.decay()], cooldown="2d", window="1d")
project.release(canary=[0.5, 1.0], step="6h", step_rows=40)
