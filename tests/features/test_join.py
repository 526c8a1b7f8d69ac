from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.features.join import join_as_known
from kept.plan.specs import FeatureViewSpec

START = datetime(2013, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MOMENT = pl.Datetime("us", "UTC")


def view(
    ttl: timedelta | None = None, entity: tuple[str, ...] = ("origin",), known_at: str = "known"
) -> FeatureViewSpec:
    return FeatureViewSpec(
        name="weather", function=lambda: None, entity=entity, event_time="event", known_at=known_at, ttl=ttl
    )


def at(ticks: int | None) -> datetime | None:
    return None if ticks is None else START + ticks * TICK


ticks = st.one_of(st.none(), st.integers(0, 8))
origins = st.sampled_from(["JFK", "LGA", None])
asked = st.lists(st.tuples(origins, ticks), max_size=12)
observed = st.lists(st.tuples(origins, ticks, ticks), max_size=12)


def expected(
    rows: list[tuple[str | None, int | None]], seen: list[tuple[str | None, int | None, int | None]], ttl: int | None
) -> list[int | None]:
    """By the words of the promise, one row at a time."""
    answers: list[int | None] = []
    for origin, moment in rows:
        best: tuple[int, int, int] | None = None
        for place, (other, event, known) in enumerate(seen):
            if origin is None or moment is None or other != origin or event is None or known is None:
                continue
            if event <= moment and known <= moment and (ttl is None or event > moment - ttl):
                best = max(best or (event, known, place), (event, known, place))
        answers.append(None if best is None else best[2])
    return answers


@settings(max_examples=300)
@given(asked, observed, st.none() | st.integers(1, 6))
@example([("JFK", 5)], [("JFK", 3, 3), ("JFK", 4, 7)], None)
@example([("JFK", 5)], [("JFK", 5, 5), ("JFK", 5, 5)], 1)
@example([("JFK", 5)], [("JFK", 4, 5)], 1)
def test_the_join_gives_what_was_known(
    rows: list[tuple[str | None, int | None]], seen: list[tuple[str | None, int | None, int | None]], ttl: int | None
) -> None:
    mine = pl.DataFrame(
        [(origin, at(moment), place) for place, (origin, moment) in enumerate(rows)],
        schema={"origin": pl.String, "at": MOMENT, "row": pl.Int64},
        orient="row",
    )
    theirs = pl.DataFrame(
        [(origin, at(event), at(known), place) for place, (origin, event, known) in enumerate(seen)],
        schema={"origin": pl.String, "event": MOMENT, "known": MOMENT, "place": pl.Int64},
        orient="row",
    )
    spec = view(None if ttl is None else ttl * TICK)
    joined = join_as_known(mine, [(spec, theirs)], at="at")
    assert joined.select(mine.columns).equals(mine)
    assert joined["weather_place"].to_list() == expected(rows, seen, ttl)


def test_a_later_event_that_is_not_known_yet_hides_nothing() -> None:
    rows = pl.DataFrame({"origin": ["JFK"], "at": [at(10)]})
    seen = pl.DataFrame({"origin": ["JFK"] * 2, "event": [at(1), at(9)], "known": [at(2), at(11)], "temp": [1.0, 9.0]})
    assert join_as_known(rows, [(view(), seen)], at="at")["weather_temp"].to_list() == [1.0]


def test_entities_of_several_columns_types_and_units() -> None:
    rows = pl.DataFrame(
        {
            "carrier": pl.Series(["AA", "AA", "UA"], dtype=pl.Categorical),
            "number": pl.Series([1, 2, 1], dtype=pl.Int16),
            "at": pl.Series([START] * 3, dtype=pl.Datetime("ms", "UTC")),
        }
    )
    seen = pl.DataFrame(
        {
            "carrier": ["AA", "UA"],
            "number": [1, 1],
            "event": pl.Series([START, START], dtype=MOMENT)
            .dt.convert_time_zone("Europe/Rome")
            .dt.cast_time_unit("ns"),
            "late": [True, False],
        }
    )
    spec = view(entity=("carrier", "number"), known_at="event")
    assert join_as_known(rows, [(spec, seen)], at="at")["weather_late"].to_list() == [True, None, False]


def test_a_nanosecond_too_late_is_too_late() -> None:
    rows = pl.DataFrame({"origin": ["JFK"], "at": [START]})
    seen = pl.DataFrame({"origin": ["JFK"], "temp": [1.0], "event": pl.Series([START]).cast(pl.Datetime("ns", "UTC"))})
    late = seen.with_columns((pl.col("event").cast(pl.Int64) + 1).cast(pl.Datetime("ns", "UTC")))
    assert join_as_known(rows, [(view(known_at="event"), seen)], at="at")["weather_temp"].to_list() == [1.0]
    assert join_as_known(rows, [(view(known_at="event"), late)], at="at")["weather_temp"].to_list() == [None]


def test_an_empty_view_gives_nulls_and_empty_rows_stay_empty() -> None:
    schema: dict[str, Any] = {"origin": pl.String, "event": MOMENT, "known": MOMENT, "temp": pl.Float64}
    empty = pl.DataFrame(schema=schema)
    rows = pl.DataFrame({"origin": ["JFK"], "at": [START]})
    joined = join_as_known(rows, [(view(), empty)], at="at")
    assert joined.schema["weather_temp"] == pl.Float64()
    assert joined["weather_temp"].to_list() == [None]
    seen = pl.DataFrame({"origin": ["JFK"], "event": [START], "known": [START], "temp": [1.0]})
    assert join_as_known(rows.clear(), [(view(), seen)], at="at").shape == (0, 3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pl.DataFrame({"at": [START]}), "there is no column 'origin'"),
        (pl.DataFrame({"origin": ["JFK"]}), "rows: there is no column 'at'"),
        (pl.DataFrame({"origin": ["JFK"], "at": ["noon"]}), "holds String, not moments"),
        (
            pl.DataFrame({"origin": [1], "at": [START]}),
            "the entity 'origin' is Int64 in the rows and String in the view",
        ),
        (pl.DataFrame({"origin": ["JFK"], "at": [START], "weather_temp": [1]}), "have a column 'weather_temp' already"),
    ],
)
def test_what_cannot_be_joined_is_refused(rows: pl.DataFrame, message: str) -> None:
    seen = pl.DataFrame({"origin": ["JFK"], "event": [START], "known": [START], "temp": [1.0]})
    with pytest.raises(Invalid, match=message):
        join_as_known(rows, [(view(), seen)], at="at")
