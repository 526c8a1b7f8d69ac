"""The project that takes over what clients of MLflow have logged: will the train be late?"""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

import kept
from kept import at_least, at_most

project = kept.Project(
    "trains",
    question="Will the train be late?",
    owner="timetable@example.org",
    objectives=[at_least("roc_auc", 0.6), at_most("size_mb", 5)],
)


@project.dataset(label="late", key="id", event_time="at")
def journeys() -> pl.DataFrame:
    """Journeys: full trains are late, and most of those of one line."""
    random, count = np.random.default_rng(3), 1_500
    people, line = random.uniform(0, 300, count), random.choice(["north", "south", "west"], count)
    late = random.uniform(size=count) < 0.1 + 0.5 * (people > 200) + 0.3 * (line == "west")
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "id": list(range(count)),
            "at": [begin + timedelta(minutes=10 * place) for place in range(count)],
            "line": line,
            "people": [
                None if gone else one for gone, one in zip(random.uniform(size=count) < 0.05, people, strict=True)
            ],
            "coaches": random.integers(2, 12, count),
            "late": late,
        },
        schema_overrides={"at": pl.Datetime("us", "UTC"), "people": pl.Float64},
    )


@project.model(task="binary")
def line() -> LogisticRegression:
    return LogisticRegression()
