"""A project whose labels are words: will the train be late, or on time?"""

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

import kept
from kept import at_least

project = kept.Project(
    "punctuality",
    question="Will the train be on time?",
    owner="timetable@example.org",
    objectives=[at_least("roc_auc", 0.6)],
)
project.split(kept.stratified())


@project.dataset(label="outcome", key="id")
def journeys() -> pl.DataFrame:
    """Journeys: full trains are late."""
    random, count = np.random.default_rng(3), 800
    people, coaches = random.uniform(0, 300, count), random.uniform(2, 12, count)
    late = random.uniform(size=count) < 0.1 + 0.7 * (people > 150)
    return pl.DataFrame(
        {"id": range(count), "people": people, "coaches": coaches, "outcome": np.where(late, "late", "on time")}
    )


@project.model(task="binary")
def line() -> LogisticRegression:
    return LogisticRegression()
