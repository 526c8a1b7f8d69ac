"""Will this flight land more than 15 minutes late? Asked at its scheduled departure, for every flight that leaves New York."""

from datetime import datetime, timedelta

import nyc
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

import kept
from kept import at_least, at_most

HOUR = timedelta(hours=1)

project = kept.Project(
    "flight-delays",
    question="Will this flight land more than 15 minutes late?",
    owner="ops-research@example.org",
    objectives=[
        at_least("roc_auc", 0.66),
        at_least("roc_auc", 0.58, by="origin"),  # every airport, not only on average
        at_most("expected_calibration_error", 0.08),
        at_most("latency_p99_ms", 20),
        at_most("size_mb", 20),
    ],
)


@project.dataset(key="flight_id", event_time="scheduled_at", label="late", label_time="landed_at")
def flights(until: datetime | None = None) -> pl.LazyFrame:
    """One row a flight, as the timetable knows it; no label for a flight that has not landed by `until`."""
    local = pl.col("scheduled_at").dt.convert_time_zone("America/New_York")
    rows = (
        nyc.flights()
        .lazy()
        .select(
            "scheduled_at",
            "carrier",
            "origin",
            "distance",
            "scheduled_minutes",  # not the destination: new ones open each season, and these two say most of it
            "landed_at",
            flight_id=pl.concat_str(local.dt.date().cast(pl.String), "carrier", "flight", "origin", separator="-"),
            late=(pl.col("arr_delay") > nyc.LATE_AFTER_MINUTES).cast(pl.Int8),
            minute_of_day=local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute(),
            weekday=local.dt.weekday(),
        )
    )
    if until is None:
        return rows
    known = pl.col("landed_at") <= until
    return rows.filter(pl.col("scheduled_at") < until).with_columns(pl.when(known).then(pl.col("late", "landed_at")))


@project.features(entity="origin", event_time="hour", known_at="published_at", ttl="2h")
def weather() -> pl.LazyFrame:
    """What the airport measured; an hour is known when it is over."""
    measured = ["dewp", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
    return nyc.weather().lazy().select("origin", "hour", *measured, published_at=pl.col("hour") + HOUR)


@project.features(entity="carrier", event_time="changed_at", known_at="changed_at")
def carrier_lateness() -> pl.LazyFrame:
    return nyc.lateness_of("carrier")


@project.features(entity="origin", event_time="changed_at", known_at="changed_at")
def airport_lateness() -> pl.LazyFrame:
    return nyc.lateness_of("origin")


@project.model(task="binary", search={"learning_rate": kept.floats(0.03, 0.12, log=True)})
def boosted_trees(learning_rate: float = 0.06) -> HistGradientBoostingClassifier:
    """Small trees with strong regularisation: two months hold only some sixty different days of weather."""
    return HistGradientBoostingClassifier(
        learning_rate=learning_rate,
        max_iter=150,
        max_leaf_nodes=15,
        min_samples_leaf=60,
        l2_regularization=5.0,
        max_features=0.5,
        early_stopping=False,
    )


project.split(kept.by_time(test="10d", validation="10d"))
# Learns from all flights so far: storms are rare, and old ones still teach.
project.retrain(on=[kept.broken(over="7d")], cooldown="21d")
project.release(canary=[0.25, 1.0], step="12h", step_rows=150)
