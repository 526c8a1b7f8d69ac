"""A small world: trains that are late when they are full, until on one day everything changes."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

DAY = timedelta(days=1)
START = datetime(2013, 1, 1, tzinfo=UTC)
OPENING = 14
"""The day from which on predictions are asked for."""
CHANGE = 17
"""The first day of the other rule."""
DAYS = 40
A_DAY = 400


def day(number: int) -> pl.DataFrame:
    """The trains of a day: full ones are late, after the change empty ones, and one line has most of the trains."""
    random = np.random.default_rng(number)
    after = number >= CHANGE
    at = np.sort(random.uniform(0, 24, A_DAY))
    people = random.uniform(0, 300, A_DAY)
    line = random.choice(["north", "south", "west"], A_DAY, p=[0.7, 0.2, 0.1] if after else [0.4, 0.3, 0.3])
    late = random.uniform(size=A_DAY) < 0.1 + 0.7 * (people < 100 if after else people > 200)
    begin = START + DAY * number
    return pl.DataFrame(
        {
            "id": [f"{number}-{place}" for place in range(A_DAY)],
            "at": [begin + timedelta(hours=float(one)) for one in at],
            "line": line,
            "people": people,
            "late": late,
        },
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )


def days(count: int = DAYS) -> pl.DataFrame:
    """All trains of the first days."""
    return pl.concat([day(number) for number in range(count)])
