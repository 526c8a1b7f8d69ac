"""Features as they were served beside the same as they are stored."""

from datetime import UTC, datetime, timedelta

import polars as pl

from kept.monitoring.feature_skew import compare_values
from kept.plan.specs import FeatureViewSpec

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEATHER = FeatureViewSpec(
    name="weather", function=lambda: None, entity=("origin",), event_time="at", known_at="known", ttl=None
)


def view() -> pl.DataFrame:
    """Wind at two places, by the hour; the last is known late."""
    return pl.DataFrame(
        {
            "origin": ["JFK", "JFK", "EWR", "JFK"],
            "at": [NOON - 2 * HOUR, NOON - HOUR, NOON - HOUR, NOON],
            "known": [NOON - 2 * HOUR, NOON - HOUR, NOON - HOUR, NOON + 9 * HOUR],
            "wind": [1.0, 2.0, 5.0, 9.0],
            "sky": ["clear", "rain", None, "snow"],
        }
    )


def requests() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "event_time": [NOON, NOON, NOON, NOON - 5 * HOUR],
            "key": ["1", "2", "3", "4"],
            "feature_origin": ["JFK", "JFK", "EWR", "JFK"],
            "feature_weather_wind": [2.0 + 1e-8, 9.0, None, 4.0],
            "feature_weather_sky": ["rain", "snow", None, None],
        }
    )


def test_values_are_compared_as_they_were_known() -> None:
    notes: list[str] = []
    wind, sky = compare_values(requests(), [(WEATHER, view())], notes)
    assert notes == []
    assert (wind.feature, wind.rows, wind.equal, wind.different) == ("weather_wind", 4, 1, 1)
    assert (wind.missing_at_serving, wind.missing_in_store) == (1, 1)
    assert [(one.prediction, one.served, one.stored) for one in wind.examples] == [
        ("b", 9.0, 2.0),
        ("c", None, 5.0),
        ("d", 4.0, None),
    ]
    assert (sky.equal, sky.different) == (3, 1)
    # Two of the three rows of JFK, and the one of EWR.
    assert (wind.by_entity.events, wind.by_entity.trials) == (3, 4)
    assert wind.by_entity.clustered == 2 * ((2 - 0.75 * 3) ** 2 + (1 - 0.75) ** 2)


def test_the_key_stands_for_an_entity_that_was_not_logged() -> None:
    keyed = requests().drop("feature_origin").with_columns(key=pl.Series(["JFK", "JFK", "EWR", "JFK"]))
    notes: list[str] = []
    assert compare_values(keyed, [(WEATHER, view())], notes)[0].equal == 1
    nobody = keyed.with_columns(key=pl.lit(None, dtype=pl.String))
    assert compare_values(nobody, [(WEATHER, view())], notes) == ()
    assert notes == ["feature view weather: requests were logged without origin"]
